"""What cfn-lint and checkov say of the templates, as they are written and under every set of parameters."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from parameters import everything
from stack import ORDER, STACKS, load, render

BIN = Path(sys.executable).parent
# Policies of checkov that would be asked for over the network.
CHECKOV = [BIN / "checkov", "--skip-download", "--framework", "cloudformation", "--output", "json"]


def cfn_lint(files, *options):
    command = [BIN / "cfn-lint", *options, "--", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr, done.returncode


class Lint(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.rendered = []
        for index, (name, template, parameters) in enumerate(everything()):
            path = Path(cls.folder.name) / f"{index:03}-{name}.json"
            path.write_text(json.dumps(render(template, parameters)))
            cls.rendered.append(path)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_cfn_lint_finds_nothing_in_the_templates(self):
        # What it would only note is a finding too.
        found = cfn_lint(sorted(STACKS.glob("*.yaml")), "--include-checks", "I", "--regions", "us-east-1", "eu-central-1")
        self.assertEqual(found, ("", 0))

    def test_cfn_lint_finds_nothing_under_any_parameters(self):
        self.assertEqual(cfn_lint(self.rendered), ("", 0))

    def test_cfn_lint_would_find_something(self):
        path = Path(self.folder.name) / "broken.yaml"
        path.write_text((STACKS / "secrets.yaml").read_text().replace("PasswordLength: 48", "PasswordLength: many"))
        found, status = cfn_lint([path])
        self.assertIn("'many' is not of type 'integer'", found)
        self.assertNotEqual(status, 0)

    def test_checkov_finds_nothing_but_what_is_justified_beside_the_resource(self):
        done = subprocess.run([*CHECKOV, "--directory", STACKS], capture_output=True, text=True, check=False)
        found = json.loads(done.stdout)
        failed = [(c["check_id"], c["resource"], c["file_path"]) for c in found["results"]["failed_checks"]]
        self.assertEqual(failed, [])
        self.assertEqual(found["summary"]["parsing_errors"], 0)
        self.assertGreater(found["summary"]["passed"], 150)
        # A justification that nothing needs any more is a hole for the next finding.
        skipped = {(Path(c["file_path"]).stem, c["resource"].split(".")[1], c["check_id"])
                   for c in found["results"]["skipped_checks"]}
        self.assertEqual(skipped, {key for key, _ in exceptions()})

    def test_every_exception_has_its_reason(self):
        for (name, resource, check), comment in exceptions():
            with self.subTest(stack=name, resource=resource, check=check):
                self.assertRegex(comment, r"^(As CKV_AWS_\d+\.|.{40,})$")


def exceptions():
    """Checkov's exceptions: ((stack, resource, check), comment)."""
    for name in ORDER:
        for resource, body in load(name)["Resources"].items():
            for skip in body.get("Metadata", {}).get("checkov", {}).get("skip", []):
                yield (name, resource, skip["id"]), skip["comment"]


if __name__ == "__main__":
    unittest.main()
