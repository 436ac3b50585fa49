complete --keep-order --exclusive --command mobzctl --arguments "(COMPLETE=fish mobzctl -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
