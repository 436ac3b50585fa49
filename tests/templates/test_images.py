"""What the images' Dockerfiles must say; that they build and run, `scripts/images` shows."""

import json
import re
import subprocess
import unittest

from stack import STACKS, load
from test_lint import BIN

IMAGES = STACKS.parent / "images"
NAMES = ["coturn", "janus-media-server", "origin", "regulator", "signaling"]


def lines(name):
    """The instructions of a Dockerfile, each on one line."""
    text = re.sub(r"^#.*\n", "", (IMAGES / name / "Dockerfile").read_text(), flags=re.MULTILINE)
    return [line for line in text.replace("\\\n", " ").splitlines() if line]


class Images(unittest.TestCase):
    """All five alike."""

    def test_there_is_an_image_for_each_repository(self):
        self.assertEqual(sorted(path.parent.name for path in IMAGES.glob("*/Dockerfile")), NAMES)
        repositories = [r["Properties"]["RepositoryName"]["Fn::Sub"] for r in load("registry")["Resources"].values()
                        if r["Type"] == "AWS::ECR::Repository"]
        self.assertEqual(sorted(name.removeprefix("${Environment}/") for name in repositories), NAMES)

    def test_every_base_is_pinned(self):
        for name in NAMES:
            bases = dict(line.removeprefix("ARG ").split("=", 1) for line in lines(name) if line.startswith("ARG "))
            for line in lines(name):
                if line.startswith("FROM "):
                    base = line.split()[1]
                    if base != "scratch":
                        self.assertRegex(bases[base.strip("${}")], r"^docker\.io/library/[a-z]+:[0-9]+\.[0-9.]+-slim", name)

    def test_every_package_is_pinned(self):
        for name in NAMES:
            for line in lines(name):
                for install in re.findall(r"apt-get install ([^&]+)", line):
                    packages = [word for word in install.split() if not word.startswith("--")]
                    free = [package for package in packages if "=${" not in package]
                    # A tool that the script needs, whose version is of no matter.
                    self.assertLessEqual(set(free), {"iproute2"}, name)

    def test_every_image_has_stages_and_runs_as_nobody_in_particular(self):
        for name in NAMES:
            said = lines(name)
            self.assertGreater(sum(line.startswith("FROM ") for line in said), 1, name)
            last = max(index for index, line in enumerate(said) if line.startswith("FROM "))
            users = [line for line in said[last:] if line.startswith("USER ")]
            self.assertEqual(users, ["USER 10001:10001"], name)

    def test_the_health_check_is_the_one_of_the_task_definition(self):
        tasks = {"coturn": "coturn", "janus-media-server": "munit", "origin": "origin", "regulator": "munit",
                 "signaling": "signaling-daemon"}
        for name, stack in tasks.items():
            containers = load(stack)["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
            container, = (each for each in containers if each["Name"] == name)
            check, = (line for line in lines(name) if line.startswith("HEALTHCHECK "))
            command = json.loads(check[check.index("["):])
            self.assertEqual(["CMD", *command], container["HealthCheck"]["Command"], name)
            retries = re.search(r"--retries=(\d+)", check)[1]
            self.assertEqual(int(retries), container["HealthCheck"]["Retries"], name)

    def test_checkov_finds_nothing(self):
        # It looks for the tag behind FROM itself, where ours has a build argument; the test above looks at that.
        command = [BIN / "checkov", "--skip-download", "--framework", "dockerfile", "--skip-check", "CKV_DOCKER_7",
                   "--output", "json", "--directory", IMAGES]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
        self.assertEqual([(c["check_id"], c["file_path"]) for c in found["results"]["failed_checks"]], [])
        self.assertEqual(found["summary"]["parsing_errors"], 0)
        self.assertGreater(found["summary"]["passed"], 100)


if __name__ == "__main__":
    unittest.main()
