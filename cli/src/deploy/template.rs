//! The stacks' templates: embedded, or from a folder of the operator's own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rust_embed::Embed;
use serde::Deserialize;
use serde_json::Value;

use super::environment::Part;
use crate::error::{Failure, Result, os};
use crate::yaml;

/// What CloudFormation takes in a request; more would have to be uploaded first.
pub const TEMPLATE_BYTES_MAX: usize = 51_200;

#[derive(Embed)]
#[folder = "../templates/stacks"]
struct Embedded;

/// Where templates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Templates {
    /// This binary.
    Embedded,
    /// A folder.
    Folder(PathBuf),
}

impl Templates {
    /// The templates in this folder, else the embedded ones.
    pub fn from(folder: Option<&Path>) -> Self {
        folder.map_or(Self::Embedded, |folder| Self::Folder(folder.to_owned()))
    }

    /// The template of a stack.
    pub fn read(&self, part: Part) -> Result<Template> {
        let name = format!("{part}.yaml");
        let text = match self {
            Self::Embedded => Embedded::get(&name)
                .and_then(|file| String::from_utf8(file.data.into_owned()).ok())
                .ok_or_else(|| {
                    let why = "this mobzctl was built without it";
                    Failure::failed(
                        format!("there is no template {name}"),
                        why,
                        "name a folder with --templates",
                    )
                })?,
            Self::Folder(folder) => {
                let path = folder.join(&name);
                std::fs::read_to_string(&path).map_err(|error| {
                    let remedy = "`mobzctl init --templates DIR` writes all of them";
                    Failure::failed(format!("cannot read {}", path.display()), os(&error), remedy)
                })?
            }
        };
        Template::parse(&name, text)
    }

    /// The names and texts of all embedded files.
    pub fn embedded() -> impl Iterator<Item = (String, Vec<u8>)> {
        let names = Embedded::iter().filter(|name| name.ends_with(".yaml"));
        names.filter_map(|name| Some((name.to_string(), Embedded::get(&name)?.data.into_owned())))
    }
}

/// A template, as far as a deployment needs to know it.
#[derive(Clone, Debug)]
pub struct Template {
    /// All of it.
    pub text: String,
    shape: Shape,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Shape {
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
    #[serde(default)]
    conditions: BTreeMap<String, Value>,
    #[serde(default)]
    resources: BTreeMap<String, Resource>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    #[serde(default)]
    default: Option<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    condition: Option<String>,
}

/// A template's parameters: those that are known, and those that are not yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// By name.
    pub values: BTreeMap<String, String>,
    /// Without value and without default.
    pub missing: BTreeSet<String>,
}

impl Template {
    fn parse(name: &str, text: String) -> Result<Self> {
        let read = yaml::read(&text);
        let shape = read.and_then(|value| serde_json::from_value(value).map_err(|error| error.to_string()));
        let shape = shape.map_err(|why| {
            let what = format!("cannot understand the template {name}");
            Failure::failed(what, why, "correct it (cfn-lint tells more)")
        })?;
        if text.len() > TEMPLATE_BYTES_MAX {
            let why = format!("it has {} bytes, and CloudFormation takes {TEMPLATE_BYTES_MAX}", text.len());
            return Err(Failure::failed(format!("cannot use the template {name}"), why, "make it shorter"));
        }
        Ok(Self { text, shape })
    }

    /// Its parameters out of what there is to give.
    pub fn given(&self, known: &BTreeMap<String, String>) -> Given {
        let mut given = Given::default();
        for (name, parameter) in &self.shape.parameters {
            match known.get(name) {
                Some(value) => drop(given.values.insert(name.clone(), value.clone())),
                None if parameter.default.is_some() => {}
                None => drop(given.missing.insert(name.clone())),
            }
        }
        given
    }

    /// What it makes of nothing, with these parameters: name and type. What depends on a parameter that is
    /// not known is taken to come.
    pub fn resources(&self, given: &Given) -> Vec<(String, String)> {
        let comes = |resource: &&Resource| {
            let condition = resource.condition.as_deref();
            condition.and_then(|name| self.condition(name, given)).unwrap_or(true)
        };
        let all = self.shape.resources.iter().filter(|(_, resource)| comes(resource));
        all.map(|(name, resource)| (name.clone(), resource.kind.clone())).collect()
    }

    fn condition(&self, name: &str, given: &Given) -> Option<bool> {
        self.holds(self.shape.conditions.get(name)?, given)
    }

    fn holds(&self, condition: &Value, given: &Given) -> Option<bool> {
        let (function, argument) = function(condition)?;
        let list = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match (function, list) {
            ("Fn::Equals", [left, right]) => Some(self.value(left, given)? == self.value(right, given)?),
            ("Fn::Not", [inner]) => self.holds(inner, given).map(|holds| !holds),
            ("Fn::And", all) => {
                all.iter().try_fold(true, |so_far, one| Some(so_far & self.holds(one, given)?))
            }
            ("Fn::Or", any) => {
                any.iter().try_fold(false, |so_far, one| Some(so_far | self.holds(one, given)?))
            }
            ("Condition", []) => self.condition(argument.as_str()?, given),
            _ => None,
        }
    }

    fn value(&self, value: &Value, given: &Given) -> Option<String> {
        if let Some(text) = scalar(value) {
            return Some(text);
        }
        let (function, argument) = function(value)?;
        let name = argument.as_str().filter(|_| function == "Ref")?;
        given.values.get(name).cloned().or_else(|| scalar(self.shape.parameters.get(name)?.default.as_ref()?))
    }
}

/// A function call: its name, in the long form, and its argument.
fn function(value: &Value) -> Option<(&str, &Value)> {
    let (name, argument) = value.as_object().filter(|map| map.len() == 1)?.iter().next()?;
    Some((name.as_str(), argument))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::environment::{Image, lambda_log_group, parameters};
    use super::*;
    use crate::config::Config;

    const TEXT: &str = "
Parameters:
  Environment: {Type: String}
  Email: {Type: String, Default: ''}
  Spot: {Type: String, Default: 'false'}
Conditions:
  HasEmail: !Not [!Equals [!Ref Email, '']]
  IsSpot: {'Fn::Equals': [{Ref: Spot}, 'true']}
  Both: !And [!Condition HasEmail, !Condition IsSpot]
  IsProduction: !Equals [!Ref Environment, prod]
Resources:
  Topic: {Type: 'AWS::SNS::Topic'}
  Subscription:
    Type: AWS::SNS::Subscription
    Condition: HasEmail
    Properties: {Endpoint: !Ref Email, TopicArn: !Sub '${Topic}'}
  Queue: {Type: 'AWS::SQS::Queue', Condition: Both}
  Bucket: {Type: 'AWS::S3::Bucket', Condition: IsProduction}
";

    fn given(values: &[(&str, &str)]) -> (Template, Given) {
        let template = Template::parse("x.yaml", TEXT.to_owned()).unwrap();
        let known = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let given = template.given(&known);
        (template, given)
    }

    fn names(values: &[(&str, &str)]) -> Vec<String> {
        let (template, given) = given(values);
        template.resources(&given).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn conditions_say_what_comes() {
        assert_eq!(names(&[("Environment", "demo")]), ["Topic"]);
        assert_eq!(names(&[("Environment", "demo"), ("Email", "a@b")]), ["Subscription", "Topic"]);
        let all = [("Environment", "prod"), ("Email", "a@b"), ("Spot", "true")];
        assert_eq!(names(&all), ["Bucket", "Queue", "Subscription", "Topic"]);
    }

    /// The names of a template's parameters, of those without a default, and of its outputs.
    fn interface(part: Part) -> [BTreeSet<String>; 3] {
        let template = Templates::Embedded.read(part).unwrap();
        let outputs = yaml::read(&template.text).unwrap()["Outputs"].take();
        let outputs = outputs.as_object().unwrap().keys().cloned().collect();
        [
            template.shape.parameters.keys().cloned().collect(),
            template.given(&BTreeMap::new()).missing,
            outputs,
        ]
    }

    #[test]
    fn every_stack_is_fed_what_it_needs_and_nothing_is_fed_in_vain() {
        let everything = "daemons: {domain: a.b, certificate: c}\norigin: {domain: a.b, certificate: c}\n\
                          turn: {count: 1, domain: a.b, certificate: c}\nalarms: {email: a@b}\n";
        for signaling in ["daemon", "serverless"] {
            let text = format!("environment: demo\nsignaling: {signaling}\n{everything}");
            let config = Config::parse(&text, "mobz.yaml").unwrap();
            let images = Image::ALL.into_iter().filter(|image| image.is_wanted(&config));
            let mut fed: BTreeSet<String> = images.map(|image| image.parameter().to_owned()).collect();
            fed.extend((signaling == "serverless").then(|| "LambdaKey".to_owned()));
            fed.extend(parameters(&config).into_keys().map(str::to_owned));
            let (mut asked, mut told) = (BTreeSet::new(), BTreeSet::new());
            for part in Part::ALL.into_iter().filter(|part| part.is_wanted(&config)) {
                let [all, needed, outputs] = interface(part);
                let unfed: Vec<_> =
                    needed.iter().filter(|name| !fed.contains(*name) && !told.contains(*name)).collect();
                assert!(unfed.is_empty(), "{part} is not given {unfed:?}");
                asked.extend(all);
                told.extend(outputs);
            }
            let elsewhere = |name: &&String| match signaling {
                "daemon" => name.starts_with("Lambda"),
                _ => name.starts_with("Signal"),
            };
            let vain: Vec<_> = fed.iter().filter(|name| !asked.contains(*name) && !elsewhere(name)).collect();
            assert!(vain.is_empty(), "nobody asks for {vain:?}");
            for name in [
                "SignalUrl",
                "OriginUrl",
                "DashboardUrl",
                "ClusterName",
                "MunitService",
                "MunitTaskDefinition",
                "MunitFamily",
                "ArtifactsBucket",
                "TokenKeysArn",
            ] {
                assert!(told.contains(name), "mobzctl reads the output {name}");
            }
            for image in Image::ALL {
                assert!(told.contains(image.repository()));
            }
        }
    }

    #[test]
    fn the_lambdas_log_group_is_called_as_its_template_says() {
        let template = Templates::Embedded.read(Part::SignalingServerless).unwrap();
        let template = yaml::read(&template.text).unwrap();
        let name = &template["Resources"]["LogGroup"]["Properties"]["LogGroupName"]["Fn::Sub"];
        let environment = "demo".parse().unwrap();
        assert_eq!(name.as_str().unwrap().replace("${Environment}", "demo"), lambda_log_group(&environment));
    }

    #[test]
    fn what_depends_on_something_unknown_is_taken_to_come() {
        let (_, given) = given(&[("Other", "x")]);
        assert_eq!(given.missing, BTreeSet::from(["Environment".to_owned()]));
        assert!(given.values.is_empty(), "what the template does not ask for is not given");
        assert_eq!(names(&[]), ["Bucket", "Topic"]);
    }
}
