-- KEYS: munit.
return stands(KEYS[1]) or {}
