"""Who may do what: every policy of every stack, as it is rendered."""

import unittest
from pathlib import Path

import yaml
from parameters import everything
from stack import render, text

# Reviewed by people: a role that may more, or that came to be, is a change of this file.
REVIEWED = Path(__file__).parent / "policies.yaml"
# What can be allowed for everything only, as the service authorization reference has it.
FOR_EVERYTHING = {"ecr:GetAuthorizationToken", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"}


def policies(rendered):
    """All policy documents: (resource, name in it, resource type, document)."""
    for name, resource in rendered["Resources"].items():
        for where, document in documents(resource["Properties"]):
            yield name, where, resource["Type"], document


def documents(value, where=""):
    if isinstance(value, dict):
        if "Statement" in value:
            yield where, value
            return
        for key, each in value.items():
            yield from documents(each, value.get("PolicyName", where) if key == "PolicyDocument" else key)
    elif isinstance(value, list):
        for each in value:
            yield from documents(each, where)


def listed(value):
    return value if isinstance(value, list) else [value]


class Policies(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.all = [
            (f"{stack}/{name}", where, kind, statement)
            for stack, template, parameters in everything()
            for name, where, kind, document in policies(render(template, parameters))
            for statement in listed(document["Statement"])
        ]

    def test_no_action_has_a_wildcard(self):
        for name, _, _, statement in self.all:
            self.assertNotIn("NotAction", statement, name)
            for action in listed(statement["Action"]):
                self.assertRegex(action, r"^[a-z0-9-]+:[A-Za-z]+$", name)

    def test_everything_is_allowed_only_where_nothing_less_can_be(self):
        for name, _, kind, statement in self.all:
            everything = statement["Effect"] == "Allow" and "*" in listed(statement.get("Resource", []))
            # In the policy of a key "*" is that key.
            if everything and kind != "AWS::KMS::Key":
                self.assertLessEqual(set(listed(statement["Action"])), FOR_EVERYTHING, name)

    def test_no_role_is_allowed_another_account_or_service(self):
        for name, _, kind, statement in self.all:
            if kind == "AWS::IAM::Role":
                for arn in map(text, listed(statement.get("Resource", []))):
                    own = r"^(\*|arn:\$\{AWS::Partition\}:[a-z0-9-]+:\$\{AWS::Region\}:\$\{AWS::AccountId\}:.+|"
                    given = r"arn:aws:[a-z0-9-]+:eu-central-1:123456789012:.+|\$\{[A-Za-z]+\.Arn\})$"
                    self.assertRegex(arn, own + given, name)

    def test_a_role_is_taken_on_by_one_service_and_for_this_account_alone(self):
        for name, where, kind, statement in self.all:
            if kind == "AWS::IAM::Role" and where == "AssumeRolePolicyDocument":
                service = text(statement["Principal"]["Service"])
                self.assertRegex(service, r"^[a-z0-9.-]+\.amazonaws\.com$", name)
                # Lambda does not say for which account it asks; who may pass the role is the account's to say.
                if service != "lambda.amazonaws.com":
                    equal = text(statement["Condition"]["StringEquals"])
                    self.assertEqual(equal, {"aws:SourceAccount": "${AWS::AccountId}"}, name)

    def test_whoever_is_anyone_is_bound_or_denied(self):
        for name, _, _, statement in self.all:
            if statement.get("Principal") == "*":
                layers = "starport-layer-bucket" in text(str(statement["Resource"]))
                self.assertTrue(statement["Effect"] == "Deny" or layers, name)

    def test_roles_are_as_reviewed(self):
        found = {}
        for stack, template, parameters in everything():
            for name, where, kind, document in policies(render(template, parameters)):
                if kind == "AWS::IAM::Role":
                    statements = found.setdefault(stack, {}).setdefault(name, {}).setdefault(where, [])
                    for statement in listed(document["Statement"]):
                        line = sentence(statement)
                        if line not in statements:
                            statements.append(line)
        self.assertEqual(found, yaml.safe_load(REVIEWED.read_text()))


def sentence(statement):
    """A statement, short enough to be read with others."""
    short = {
        "${AWS::Partition}": "aws", "${AWS::Region}": "REGION", "eu-central-1": "REGION",
        "${AWS::AccountId}": "ACCOUNT", "123456789012": "ACCOUNT",
    }

    def shortened(value):
        if isinstance(value, dict):
            return {key: shortened(each) for key, each in value.items()}
        for long, word in short.items():
            value = value.replace(long, word)
        return value

    said = {statement["Effect"].lower(): sorted(listed(statement["Action"]))}
    if "Principal" in statement:
        said["to"] = shortened(text(statement["Principal"]["Service"]))
    if "Resource" in statement:
        said["resource"] = [shortened(text(each)) for each in listed(statement["Resource"])]
    if "Condition" in statement:
        said["if"] = shortened(text(statement["Condition"]))
    return said


if __name__ == "__main__":
    unittest.main()
