"""CloudFormation templates as values: read, and rendered with parameters as CloudFormation would do it."""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

STACKS = Path(__file__).resolve().parents[2] / "templates" / "stacks"
# In the order in which they are deployed; the two kinds of signaling are alternatives.
ORDER = [
    "network", "secrets", "redis", "registry", "cluster", "coturn", "origin", "signaling-daemon",
    "signaling-serverless", "munit", "watch",
]
NO_VALUE = {"Ref": "AWS::NoValue"}


class WrongReference(Exception):
    """A template names what is not there, or not under these parameters."""


class _Loader(yaml.SafeLoader):
    """Reads the short forms of intrinsic functions, and refuses a key that stands twice."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def _intrinsic(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)
# A version is text, not a date.
_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(name):
    """The template of a stack, with intrinsic functions in their long form."""
    return yaml.load((STACKS / f"{name}.yaml").read_text(), _Loader)


def render(template, parameters):
    """The template as it is under these parameters: without conditions, and with references to resources alone.

    Raises WrongReference for a reference to nothing, or to a resource that these parameters leave out.
    """
    rendering = _Rendering(template, parameters)
    return {
        "AWSTemplateFormatVersion": template["AWSTemplateFormatVersion"],
        "Description": template["Description"],
        "Resources": {
            name: rendering.resource(resource)
            for name, resource in template["Resources"].items()
            if name in rendering.resources
        },
        "Outputs": {
            name: rendering.value({key: value for key, value in output.items() if key != "Condition"})
            for name, output in template.get("Outputs", {}).items()
            if rendering.stands(output)
        },
    }


def allowed(template, parameters):
    """Whether the template's own rules allow these parameters."""
    rendering = _Rendering(template, parameters)
    assertions = [a for rule in template.get("Rules", {}).values() for a in rule["Assertions"]]
    return all(rendering.truth(assertion["Assert"]) for assertion in assertions)


def conditions(template, parameters):
    """Which conditions hold."""
    rendering = _Rendering(template, parameters)
    return {name: rendering.truth({"Condition": name}) for name in template.get("Conditions", {})}


@dataclass
class _Rendering:
    template: dict
    parameters: dict

    def __post_init__(self):
        declared = self.template["Parameters"]
        values = {name: str(p["Default"]) for name, p in declared.items() if "Default" in p}
        values |= self.parameters
        missing = declared.keys() - values.keys()
        if missing:
            raise WrongReference(f"no value for {sorted(missing)}")
        self.values = {
            name: values[name].split(",") if p["Type"].startswith("List<") else values[name]
            for name, p in declared.items()
        }
        self.resources = {n for n, r in self.template["Resources"].items() if self.stands(r)}

    def stands(self, thing):
        return "Condition" not in thing or self.truth({"Condition": thing["Condition"]})

    def resource(self, resource):
        rest = {key: value for key, value in resource.items() if key != "Condition"}
        for name in _listed(rest.get("DependsOn", [])):
            self.known(name)
        return self.value(rest)

    def known(self, name):
        if name not in self.resources:
            raise WrongReference(f"{name} is not there")

    def truth(self, condition):
        (function, argument), = condition.items()
        match function:
            case "Condition":
                return self.truth(self.template["Conditions"][argument])
            case "Fn::Equals":
                left, right = (str(self.value(side)) for side in argument)
                return left == right
            case "Fn::Not":
                return not self.truth(argument[0])
            case "Fn::And":
                return all(self.truth(each) for each in argument)
            case "Fn::Or":
                return any(self.truth(each) for each in argument)
        raise WrongReference(f"no condition: {function}")

    def value(self, node):
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value != NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (function, argument), = node.items()
            if function == "Ref":
                return self.reference(argument)
            if function.startswith("Fn::"):
                return self.function(function, argument)
        values = {key: self.value(value) for key, value in node.items()}
        return {key: value for key, value in values.items() if value != NO_VALUE}

    def reference(self, name):
        if name in self.values:
            return self.values[name]
        if not name.startswith("AWS::"):
            self.known(name)
        return {"Ref": name}

    def function(self, function, argument):
        match function:
            case "Fn::If":
                name, then, otherwise = argument
                return self.value(then if self.truth({"Condition": name}) else otherwise)
            case "Fn::GetAtt":
                self.known(argument[0])
                return {function: argument}
            case "Fn::Sub":
                return self.substitute(argument)
            case "Fn::Select":
                index, several = self.value(argument)
                return several[int(index)] if isinstance(several, list) else {function: [index, several]}
            case "Fn::Join" | "Fn::Cidr" | "Fn::GetAZs":
                return {function: self.value(argument)}
        raise WrongReference(f"not rendered: {function}")

    def substitute(self, argument):
        text, local = (argument, {}) if isinstance(argument, str) else argument
        local = {name: self.value(value) for name, value in local.items()}

        def replace(match):
            name = match[1]
            value = local.get(name, self.values.get(name))
            # What is put in may hold references itself: they are there for CloudFormation.
            if isinstance(value, dict) and value.keys() == {"Fn::Sub"}:
                return value["Fn::Sub"]
            if isinstance(value, str):
                return value
            if value is not None:
                raise WrongReference(f"{name} is no text")
            if not name.startswith("AWS::"):
                self.known(name.split(".")[0])
            return match[0]

        text = re.sub(r"\$\{([A-Za-z0-9:.]+)\}", replace, text)
        return {"Fn::Sub": text} if "${" in text else text


def text(value):
    """A rendered value in words: references to resources as ${Name} and ${Name.Attribute}."""
    if isinstance(value, dict) and len(value) == 1:
        (function, argument), = value.items()
        if function == "Ref":
            return f"${{{argument}}}"
        if function == "Fn::GetAtt":
            return f"${{{'.'.join(argument)}}}"
        if function == "Fn::Sub":
            return argument
        if function == "Fn::Join":
            return argument[0].join(text(each) for each in argument[1])
    if isinstance(value, dict):
        return {text(key): text(each) for key, each in value.items()}
    if isinstance(value, list):
        return [text(each) for each in value]
    return value


def _listed(value):
    return value if isinstance(value, list) else [value]
