//! Templates, evaluated as CloudFormation does: enough of it for the stacks of MobZ.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

#[path = "../../../cli/src/yaml.rs"]
mod yaml;

/// What stands for a value that is known only when the change is made.
pub(super) const LATER: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// A template's sections.
#[derive(Clone, Debug)]
pub(super) struct Template(Value);

/// What references resolve to.
pub(super) struct Scope<'a> {
    pub(super) stack: &'a str,
    pub(super) parameters: &'a BTreeMap<String, String>,
    /// The names in AWS of the resources there are.
    pub(super) physical: &'a BTreeMap<String, String>,
}

impl Template {
    /// Reads YAML with CloudFormation's tags.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        yaml::read(text).map(Self).map_err(|error| format!("Template format error: {error}"))
    }

    fn section(&self, name: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.0[name].as_object().into_iter().flatten()
    }

    /// Its parameters with what they stand at; an error names one that is missing, unknown or not allowed.
    pub(super) fn parameters(
        &self,
        given: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, String> {
        let known: BTreeSet<&String> = self.section("Parameters").map(|(name, _)| name).collect();
        if let Some(name) = given.keys().find(|name| !known.contains(name)) {
            return Err(format!("Parameters: [{name}] do not exist in the template"));
        }
        let mut all = BTreeMap::new();
        for (name, parameter) in self.section("Parameters") {
            let default = parameter.get("Default").map(text);
            match given.get(name).cloned().or(default) {
                Some(value) => {
                    allowed(name, parameter, &value)?;
                    all.insert(name.clone(), value);
                }
                None => return Err(format!("Parameters: [{name}] must have values")),
            }
        }
        self.rules(&all)?;
        Ok(all)
    }

    /// Whether the parameters keep the template's rules.
    fn rules(&self, parameters: &BTreeMap<String, String>) -> Result<(), String> {
        let scope = Scope { stack: "", parameters, physical: &BTreeMap::new() };
        let rules =
            self.section("Rules").flat_map(|(_, rule)| rule["Assertions"].as_array().into_iter().flatten());
        for assertion in rules {
            if self.value(&assertion["Assert"], &scope) != Some(json!(true)) {
                return Err(format!("Template error: {}", text(&assertion["AssertDescription"])));
            }
        }
        Ok(())
    }

    /// Its resources whose conditions hold, by name: type, evaluated properties, what they refer to.
    pub(super) fn resources(&self, scope: &Scope<'_>) -> BTreeMap<String, Evaluated> {
        let holds =
            |resource: &Value| resource["Condition"].as_str().is_none_or(|name| self.condition(name, scope));
        let all =
            self.section("Resources").filter(|(_, resource)| holds(resource)).map(|(name, resource)| {
                let properties = self.value(&resource["Properties"], scope).unwrap_or(json!({}));
                let mut needs = BTreeSet::new();
                self.references(&resource["Properties"], &mut needs);
                let depends = &resource["DependsOn"];
                needs.extend(depends.as_str().map(str::to_owned));
                needs.extend(depends.as_array().into_iter().flatten().map(text));
                let evaluated = Evaluated {
                    kind: text(&resource["Type"]),
                    properties,
                    needs,
                    keeps: resource["UpdateReplacePolicy"] == "Retain",
                };
                (name.clone(), evaluated)
            });
        all.collect()
    }

    /// Its outputs whose conditions hold.
    pub(super) fn outputs(&self, scope: &Scope<'_>) -> BTreeMap<String, String> {
        let holds =
            |output: &Value| output["Condition"].as_str().is_none_or(|name| self.condition(name, scope));
        let all = self.section("Outputs").filter(|(_, output)| holds(output));
        all.filter_map(|(name, output)| Some((name.clone(), text(&self.value(&output["Value"], scope)?))))
            .collect()
    }

    fn condition(&self, name: &str, scope: &Scope<'_>) -> bool {
        self.value(&self.0["Conditions"][name], scope) == Some(json!(true))
    }

    /// A value with its functions called; `None` for `AWS::NoValue`.
    fn value(&self, value: &Value, scope: &Scope<'_>) -> Option<Value> {
        match value {
            Value::Object(map) => {
                if let Some((function, argument)) = map.iter().next().filter(|_| map.len() == 1)
                    && (function == "Ref" || function == "Condition" || function.starts_with("Fn::"))
                {
                    return self.call(function.trim_start_matches("Fn::"), argument, scope);
                }
                let all =
                    map.iter().filter_map(|(key, value)| Some((key.clone(), self.value(value, scope)?)));
                Some(Value::Object(all.collect()))
            }
            Value::Array(list) => Some(list.iter().filter_map(|value| self.value(value, scope)).collect()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value.clone()),
        }
    }

    fn call(&self, function: &str, argument: &Value, scope: &Scope<'_>) -> Option<Value> {
        let of = |index: usize| self.value(&argument[index], scope).unwrap_or(Value::Null);
        Some(match function {
            "Ref" => return self.reference(argument.as_str()?, scope),
            "Condition" => json!(self.condition(argument.as_str()?, scope)),
            "GetAtt" => json!(attribute(&text(&argument[0]), &text(&argument[1]), scope)),
            "Sub" => {
                let template = argument.as_str().unwrap_or_else(|| argument[0].as_str().unwrap_or_default());
                json!(self.substitute(template, &argument[1], scope))
            }
            "Equals" => json!(text(&of(0)) == text(&of(1))),
            "Not" => json!(of(0) != json!(true)),
            "And" => {
                json!(argument.as_array()?.iter().all(|one| self.value(one, scope) == Some(json!(true))))
            }
            "Or" => json!(argument.as_array()?.iter().any(|one| self.value(one, scope) == Some(json!(true)))),
            "If" => {
                let index = if self.condition(argument[0].as_str()?, scope) { 1 } else { 2 };
                return self.value(&argument[index], scope);
            }
            "Join" => {
                let parts: Vec<String> = of(1).as_array()?.iter().map(text).collect();
                json!(parts.join(&text(&of(0))))
            }
            "Select" => of(1)[text(&of(0)).parse::<usize>().ok()?].clone(),
            "Split" => text(&of(1)).split(&text(&of(0))).collect(),
            "GetAZs" => json!(["eu-central-1a", "eu-central-1b"]),
            "Cidr" => {
                (0..text(&of(1)).parse::<usize>().ok()?).map(|n| format!("{}#{n}", text(&of(0)))).collect()
            }
            "Base64" => of(0),
            other => panic!("the stand-in for CloudFormation does not know Fn::{other}"),
        })
    }

    fn reference(&self, name: &str, scope: &Scope<'_>) -> Option<Value> {
        let pseudo = match name {
            "AWS::NoValue" => return None,
            "AWS::Region" => Some(super::REGION.to_owned()),
            "AWS::AccountId" => Some(super::ACCOUNT.to_owned()),
            "AWS::Partition" => Some("aws".to_owned()),
            "AWS::URLSuffix" => Some("amazonaws.com".to_owned()),
            "AWS::StackName" => Some(scope.stack.to_owned()),
            _ => None,
        };
        if let Some(value) = pseudo {
            return Some(json!(value));
        }
        if let Some(value) = scope.parameters.get(name) {
            let kind = text(&self.0["Parameters"][name]["Type"]);
            let is_list = kind.starts_with("List<") || kind == "CommaDelimitedList";
            return Some(if is_list { value.split(',').collect() } else { json!(value) });
        }
        Some(json!(scope.physical.get(name).map_or(LATER, String::as_str)))
    }

    fn substitute(&self, template: &str, own: &Value, scope: &Scope<'_>) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, end) = after.split_once('}').unwrap_or((after, ""));
            out.push_str(before);
            if let Some(literal) = name.strip_prefix('!') {
                out.extend(["${", literal, "}"]);
            } else if let Some(value) = own.get(name) {
                out.push_str(&text(&self.value(value, scope).unwrap_or_default()));
            } else if let Some((resource, what)) = name.split_once('.') {
                out.push_str(&attribute(resource, what, scope));
            } else {
                out.push_str(&text(&self.reference(name, scope).unwrap_or_default()));
            }
            rest = end;
        }
        out + rest
    }

    /// The resources that a value refers to.
    fn references(&self, value: &Value, found: &mut BTreeSet<String>) {
        let is_resource = |name: &str| self.0["Resources"].get(name).is_some();
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    let mut names: Vec<String> = Vec::new();
                    match key.as_str() {
                        "Ref" => names.push(text(value)),
                        "Fn::GetAtt" => names.push(text(&value[0])),
                        "Fn::Sub" => {
                            let template = value.as_str().or(value[0].as_str()).unwrap_or_default();
                            let inner = template.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
                            names.extend(
                                inner.map(|(name, _)| name.split('.').next().unwrap_or(name).to_owned()),
                            );
                        }
                        _ => {}
                    }
                    found.extend(names.into_iter().filter(|name| is_resource(name)));
                    self.references(value, found);
                }
            }
            Value::Array(list) => list.iter().for_each(|value| self.references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// A resource as a template makes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Evaluated {
    pub(super) kind: String,
    pub(super) properties: Value,
    pub(super) needs: BTreeSet<String>,
    /// Whether what is replaced is kept.
    pub(super) keeps: bool,
}

/// Whether a parameter may have this value.
fn allowed(name: &str, parameter: &Value, value: &str) -> Result<(), String> {
    if let Some(pattern) = parameter["AllowedPattern"].as_str() {
        let pattern = regex_lite::Regex::new(pattern).map_err(|error| format!("{name}: {error}"))?;
        if !pattern.is_match(value) {
            return Err(format!("Parameter '{name}' must match pattern {pattern}, and {value:?} does not"));
        }
    }
    let values = parameter["AllowedValues"].as_array();
    if values.is_some_and(|values| values.iter().all(|one| text(one) != value)) {
        return Err(format!("Parameter '{name}' must be one of AllowedValues, and {value:?} is not"));
    }
    let number = value.parse::<i64>().ok();
    let bounds = [("MinValue", i64::MIN), ("MaxValue", i64::MAX)]
        .map(|(key, none)| parameter[key].as_i64().unwrap_or(none));
    if parameter["Type"] == "Number" && number.is_none_or(|number| number < bounds[0] || number > bounds[1]) {
        return Err(format!(
            "Parameter '{name}' must be a number from {} to {}, not {value:?}",
            bounds[0], bounds[1]
        ));
    }
    Ok(())
}

fn attribute(resource: &str, what: &str, scope: &Scope<'_>) -> String {
    let Some(physical) = scope.physical.get(resource) else { return LATER.to_owned() };
    match what {
        "Arn" if physical.starts_with("arn:") => physical.clone(),
        "Arn" => format!("arn:aws:any:{}:{}:{physical}", super::REGION, super::ACCOUNT),
        "Name" => physical.rsplit('/').next().unwrap_or(physical).to_owned(),
        "RepositoryUri" => format!("{}.dkr.ecr.{}.amazonaws.com/{physical}", super::ACCOUNT, super::REGION),
        "DNSName" | "DomainName" => {
            let name = physical.rsplit('/').next().unwrap_or(physical).to_lowercase();
            format!("{name}.example.org")
        }
        "LoadBalancerFullName" => {
            physical.split_once(":loadbalancer/").map_or("", |(_, name)| name).to_owned()
        }
        "TargetGroupFullName" => physical
            .split_once("targetgroup/")
            .map_or_else(String::new, |(_, name)| format!("targetgroup/{name}")),
        other => format!("{physical}.{other}"),
    }
}

/// A scalar as CloudFormation writes it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
Parameters:
  Domain: {Type: String, Default: '', AllowedPattern: '^[a-z.]*$'}
  Certificate: {Type: String, Default: ''}
  Count: {Type: Number, Default: 2, MinValue: 1, MaxValue: 10}
  Size: {Type: String, Default: small, AllowedValues: [small, large]}
Rules:
  DomainWithCertificate:
    Assertions:
      - Assert: !Or
          - !And [!Equals [!Ref Domain, \"\"], !Equals [!Ref Certificate, \"\"]]
          - !And [!Not [!Equals [!Ref Domain, \"\"]], !Not [!Equals [!Ref Certificate, \"\"]]]
        AssertDescription: a domain needs its certificate
";

    fn refused(given: &[(&str, &str)]) -> String {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let template = Template::parse(TEXT).expect("a good template");
        template.parameters(&given).err().unwrap_or_default()
    }

    #[test]
    fn parameters_are_held_to_what_the_template_allows() {
        assert_eq!(refused(&[]), "");
        assert_eq!(
            refused(&[("Domain", "a.b"), ("Certificate", "c"), ("Count", "10"), ("Size", "large")]),
            ""
        );
        assert!(refused(&[("Domain", "A")]).contains("must match pattern"));
        assert!(refused(&[("Count", "11")]).contains("from 1 to 10"));
        assert!(refused(&[("Size", "huge")]).contains("AllowedValues"));
        assert!(refused(&[("Domain", "a.b")]).contains("a domain needs its certificate"));
        assert!(refused(&[("Other", "1")]).contains("do not exist"));
    }
}
