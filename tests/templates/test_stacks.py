"""What the stacks must be, that no linter knows."""

import re
import unittest

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from parameters import SAMPLES, combinations, everything
from stack import NO_VALUE, ORDER, STACKS, conditions, load, render, text

# What mobzctl makes itself, beside what mobz.yaml says.
MADE = {"Environment", "LambdaKey"} | {name for name in SAMPLES if name.endswith("Image")}


def resources(kind=None):
    """Every resource as rendered under every set of parameters: (stack, name, resource)."""
    for stack, template, parameters in everything():
        for name, resource in render(template, parameters)["Resources"].items():
            if kind in (None, resource["Type"]):
                yield f"{stack}/{name}", resource


def properties(stack, name, **parameters):
    template = load(stack)
    chosen = next(p for p in combinations(template) if p.items() >= parameters.items())
    return render(template, chosen)["Resources"][name]["Properties"]


class Together(unittest.TestCase):
    """How the stacks fit together."""

    def test_each_condition_is_looked_at_both_ways(self):
        seen = {}
        for stack, template, parameters in everything():
            for name, holds in conditions(template, parameters).items():
                seen.setdefault(f"{stack}/{name}", set()).add(holds)
        self.assertEqual({name for name, ways in seen.items() if ways != {True, False}}, set())

    def test_what_a_stack_needs_an_earlier_one_gives_or_mobzctl_makes(self):
        given = set()
        for stack in ORDER:
            template = load(stack)
            needed = {name for name, p in template["Parameters"].items() if "Default" not in p}
            self.assertLessEqual(needed, given | MADE, stack)
            given |= template["Outputs"].keys()

    def test_nothing_is_exported_or_imported(self):
        for path in STACKS.glob("*.yaml"):
            self.assertNotRegex(path.read_text(), r"ImportValue|\bExport:", path.name)

    def test_every_template_fits_into_a_request_and_a_roles_name_is_made_up(self):
        # What is longer must lie in S3 first; named roles want CAPABILITY_NAMED_IAM.
        for path in STACKS.glob("*.yaml"):
            self.assertLess(len(path.read_bytes()), 51_200, path.name)
            self.assertNotIn("RoleName", path.read_text(), path.name)

    def test_no_two_stacks_give_the_same_but_the_two_kinds_of_signaling(self):
        outputs = [(name, stack) for stack in ORDER for name in load(stack)["Outputs"]]
        twice = {name for name, _ in outputs if sum(name == other for other, _ in outputs) > 1}
        self.assertEqual(twice, {"SignalUrl"})

    def test_every_parameter_says_what_it_is_and_what_it_may_be(self):
        for stack in ORDER:
            for name, parameter in load(stack)["Parameters"].items():
                with self.subTest(stack=stack, parameter=name):
                    self.assertRegex(parameter["Description"], r"^[A-Z].+\.$")
                    bounds = {"AllowedPattern", "AllowedValues", "MinValue"} & parameter.keys()
                    self.assertTrue(bounds or parameter["Type"] != "String" and parameter["Type"] != "Number")

    def test_samples_and_defaults_match_the_patterns(self):
        for stack in ORDER:
            for name, parameter in load(stack)["Parameters"].items():
                values = SAMPLES.get(name, []) + ([str(parameter["Default"])] if "Default" in parameter else [])
                for value in values:
                    with self.subTest(stack=stack, parameter=name, value=value):
                        self.assertRegex(value, parameter.get("AllowedPattern", ".*"))
                        allowed = [str(each) for each in parameter.get("AllowedValues", [value])]
                        self.assertIn(value, allowed)

    def test_a_parameter_means_the_same_in_every_stack(self):
        seen = {}
        for stack in ORDER:
            for name, p in load(stack)["Parameters"].items():
                rest = {key: p.get(key) for key in ("Type", "Default", "AllowedPattern", "AllowedValues", "MinValue")}
                self.assertEqual(seen.setdefault(name, rest), rest, f"{stack}: {name}")

    def test_the_readme_names_every_parameter_and_output_and_no_other(self):
        sections = re.split(r"^### ", (STACKS / "README.md").read_text(), flags=re.MULTILINE)[1:]
        told = {section.split("\n", 1)[0]: section for section in sections}
        self.assertEqual(list(told), ORDER)
        for stack, section in told.items():
            template = load(stack)
            table, outputs = section.split("\nOutputs: ", 1)
            first = "\n".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
            with self.subTest(stack=stack):
                names = set(re.findall(r"`([A-Z][A-Za-z]+)`", first))
                self.assertEqual(names, template["Parameters"].keys() - {"Environment", "Architecture"})
                names = set(re.findall(r"`([A-Z][A-Za-z]+)`", outputs.split("\n\n")[0]))
                self.assertEqual(names, set(template["Outputs"]))


class Everywhere(unittest.TestCase):
    """What every resource must be."""

    def test_everything_that_can_be_is_tagged(self):
        for name, resource in resources():
            schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema
            tagging = schema.get("tagging", {})
            if tagging.get("taggable", False) and "Tags" in schema["properties"]:
                tags = resource["Properties"].get("Tags", {})
                if isinstance(tags, list):
                    tags = {tag["Key"]: tag["Value"] for tag in tags}
                self.assertEqual(tags.get("mobz:environment"), "demo", name)

    def test_everything_can_be_deleted(self):
        for name, resource in resources():
            self.assertIn(resource.get("DeletionPolicy", "Delete"), ("Delete",), name)
            self.assertNotIn("DeletionProtection", str(resource), name)
            self.assertNotIn("{'Key': 'deletion_protection.enabled', 'Value': 'true'}", str(resource), name)

    def test_what_holds_something_says_what_becomes_of_it(self):
        holds = {"AWS::KMS::Key", "AWS::Logs::LogGroup", "AWS::SecretsManager::Secret", "AWS::S3::Bucket",
                 "AWS::ECR::Repository", "AWS::ElastiCache::ReplicationGroup"}
        for name, resource in resources():
            if resource["Type"] in holds:
                self.assertIn("DeletionPolicy", resource, name)
                self.assertIn("UpdateReplacePolicy", resource, name)

    def test_names_of_accounts_and_regions_begin_with_the_environment(self):
        named = ("RoleName", "FunctionName", "RepositoryName", "LogGroupName", "DashboardName", "TopicName", "AliasName")
        for name, resource in resources():
            for key in named:
                value = resource["Properties"].get(key, "demo")
                # Those of a permission or a filter are another resource's.
                if isinstance(value, str):
                    self.assertRegex(value, r"^(demo|mobz-demo|alias/mobz-demo|/mobz/demo/)", name)

    def test_logs_end_and_are_encrypted(self):
        for name, resource in resources("AWS::Logs::LogGroup"):
            self.assertTrue(resource["Properties"]["KmsKeyId"], name)
            self.assertTrue(resource["Properties"]["RetentionInDays"], name)

    def test_from_anywhere_only_media_turn_and_the_edge_come_in(self):
        open_ports = set()
        for name, resource in resources("AWS::EC2::SecurityGroup"):
            for rule in resource["Properties"].get("SecurityGroupIngress", []):
                if "CidrIp" in rule:
                    open_ports.add((name, rule["IpProtocol"], str(rule["FromPort"]), str(rule["ToPort"])))
        self.assertEqual(open_ports, {
            ("munit/SecurityGroup", "udp", "20000", "20999"),
            ("coturn/SecurityGroup", "udp", "49152", "65535"),
            ("coturn/LoadBalancerSecurityGroup", "udp", "3478", "3478"),
            ("coturn/LoadBalancerSecurityGroup", "tcp", "3478", "3478"),
            ("coturn/LoadBalancerSecurityGroup", "tcp", "443", "443"),
            # Internal: CloudFront reaches them by its VPC origins, and nobody else has a way there.
            ("origin/LoadBalancerSecurityGroup", "tcp", "80", "80"),
            ("signaling-daemon/LoadBalancerSecurityGroup", "tcp", "80", "80"),
        })
        for stack in ("origin", "signaling-daemon"):
            self.assertEqual(properties(stack, "LoadBalancer")["Scheme"], "internal")

    def test_containers_are_bound(self):
        for name, resource in resources("AWS::ECS::TaskDefinition"):
            for container in resource["Properties"]["ContainerDefinitions"]:
                with self.subTest(task=name, container=container["Name"]):
                    self.assertEqual(container["User"], "10001")
                    self.assertIs(container["ReadonlyRootFilesystem"], True)
                    self.assertEqual(container["LinuxParameters"]["Capabilities"], {"Drop": ["ALL"]})
                    self.assertIn("HealthCheck", container)
                    self.assertIn("@sha256:", container["Image"])
                    secret = {"MOBZ_REDIS", "MOBZ_KEYS", "MOBZ_TURN_SECRET", "TURN_SECRET"}
                    self.assertFalse(secret & {variable["Name"] for variable in container["Environment"]})

    def test_no_secret_stands_in_a_template(self):
        for name, resource in resources():
            for value in re.findall(r"rediss://:([^@]*)@", str(resource)):
                self.assertRegex(value, r"^\{\{resolve:secretsmanager:arn:.+:SecretString\}\}$", name)


class Munits(unittest.TestCase):
    """What keeps calls alive."""

    def test_both_containers_of_a_munit_have_two_minutes_to_end(self):
        janus, regulator = properties("munit", "TaskDefinition")["ContainerDefinitions"]
        self.assertEqual((janus["Name"], janus["StopTimeout"]), ("janus-media-server", 120))
        self.assertEqual((regulator["Name"], regulator["StopTimeout"]), ("regulator", 120))
        # What depends on another is stopped before it.
        self.assertEqual(regulator["DependsOn"], [{"ContainerName": "janus-media-server", "Condition": "HEALTHY"}])

    def test_a_new_revision_of_munits_is_no_change_of_their_service(self):
        before = properties("munit", "Service")
        self.assertEqual(before["TaskDefinition"], "demo-munit")
        self.assertNotIn("{'Ref': 'TaskDefinition'}", str(before))
        self.assertEqual(properties("munit", "TaskDefinition")["Family"], before["TaskDefinition"])
        self.assertEqual(load("munit")["Resources"]["TaskDefinition"]["UpdateReplacePolicy"], "Retain")

    def test_no_service_names_how_many_run_where_scaling_does(self):
        for stack in ("munit", "origin", "signaling-daemon"):
            self.assertNotIn("DesiredCount", properties(stack, "Service"))
            self.assertIn("MinCapacity", properties(stack, "Scaling"))

    def test_munits_scale_on_what_the_regulators_log(self):
        metric = properties("munit", "StationLoad")
        transformation, = metric["MetricTransformations"]
        policy = properties("munit", "ScalingOnStations")["TargetTrackingScalingPolicyConfiguration"]
        scaled = policy["CustomizedMetricSpecification"]
        self.assertEqual(scaled["Namespace"], transformation["MetricNamespace"])
        self.assertEqual(scaled["MetricName"], transformation["MetricName"])
        self.assertEqual(metric["FilterPattern"], '{ $.message = "munit load" }')

    def test_spot_is_taken_where_it_is_wanted_and_only_there(self):
        for spot, provider in (("true", "FARGATE_SPOT"), ("false", "FARGATE")):
            strategy = properties("munit", "Service", MunitSpot=spot)["CapacityProviderStrategy"]
            self.assertEqual(strategy, [{"CapacityProvider": provider, "Weight": 1}])

    def test_the_role_to_answer_clients_of_the_lambda_is_there_only_with_it(self):
        plain = properties("munit", "TaskRole", ConnectionsArn="")
        self.assertEqual([policy["PolicyName"] for policy in plain["Policies"]], ["protect"])


class Playback(unittest.TestCase):
    """What LL-HLS needs of CloudFront."""

    def setUp(self):
        self.distribution = properties("origin", "Distribution")["DistributionConfig"]

    def key(self, behavior):
        policy = properties("origin", behavior["CachePolicyId"]["Ref"])["CachePolicyConfig"]
        return policy, policy["ParametersInCacheKeyAndForwardedToOrigin"]

    def test_directives_of_playlists_are_in_the_key_and_nothing_else(self):
        playlists, = self.distribution["CacheBehaviors"]
        self.assertEqual(playlists["PathPattern"], "*.m3u8")
        _, key = self.key(playlists)
        self.assertEqual(key["QueryStringsConfig"], {
            "QueryStringBehavior": "whitelist", "QueryStrings": ["_HLS_msn", "_HLS_part", "_HLS_skip"],
        })
        self.assertEqual(key["HeadersConfig"], {"HeaderBehavior": "none"})

    def test_playlists_are_compressed_and_media_are_not(self):
        playlists, = self.distribution["CacheBehaviors"]
        media = self.distribution["DefaultCacheBehavior"]
        for behavior, compressed in ((playlists, True), (media, False)):
            self.assertIs(behavior["Compress"], compressed)
            self.assertIs(self.key(behavior)[1]["EnableAcceptEncodingGzip"], compressed)

    def test_how_long_an_answer_is_good_the_origin_says(self):
        for behavior in (*self.distribution["CacheBehaviors"], self.distribution["DefaultCacheBehavior"]):
            policy, _ = self.key(behavior)
            self.assertEqual((policy["MinTTL"], policy["DefaultTTL"]), (0, 0))
        kept = {error["ErrorCode"]: error["ErrorCachingMinTTL"] for error in self.distribution["CustomErrorResponses"]}
        for code in (400, 404, 503, 504):
            self.assertEqual(kept[code], 0)

    def test_playback_is_http_2_and_3(self):
        self.assertEqual(self.distribution["HttpVersion"], "http2and3")

    def test_a_request_that_blocks_is_waited_for(self):
        # Three target durations, PROTOCOL.md §6: up to twenty seconds of them.
        origin, = self.distribution["Origins"]
        self.assertGreaterEqual(origin["VpcOriginConfig"]["OriginReadTimeout"], 60)
        idle = {a["Key"]: a["Value"] for a in properties("origin", "LoadBalancer")["LoadBalancerAttributes"]}
        self.assertGreater(int(idle["idle_timeout.timeout_seconds"]), 60)


class Stores(unittest.TestCase):
    """What Redis is under which parameters."""

    def group(self, replicas, shards):
        return properties("redis", "ReplicationGroup", RedisReplicas=replicas, RedisShards=shards)

    def test_redis_speaks_tls_wants_a_password_and_evicts_nothing(self):
        group = self.group("1", "1")
        self.assertEqual((group["TransitEncryptionEnabled"], group["TransitEncryptionMode"]), (True, "required"))
        self.assertRegex(group["AuthToken"], r"^\{\{resolve:secretsmanager:")
        self.assertIs(group["AtRestEncryptionEnabled"], True)
        self.assertEqual(properties("redis", "ParameterGroup")["Properties"]["maxmemory-policy"], "noeviction")

    def test_redis_fails_over_where_it_can(self):
        ways = {("1", "1"): (True, True), ("0", "1"): (False, False), ("1", "3"): (True, True), ("0", "3"): (True, False)}
        for (replicas, shards), expected in ways.items():
            group = self.group(replicas, shards)
            self.assertEqual((group["AutomaticFailoverEnabled"], group["MultiAZEnabled"]), expected)

    def test_the_url_is_that_of_the_cluster_or_of_the_leader(self):
        for shards, endpoint in (("1", "PrimaryEndPoint"), ("3", "ConfigurationEndPoint")):
            url = text(properties("redis", "Url", RedisShards=shards)["SecretString"])
            self.assertTrue(url.endswith(f"@${{ReplicationGroup.{endpoint}.Address}}:6379"), url)


class Rendering(unittest.TestCase):
    """That the rendering itself refuses what it must: the rest relies on it."""

    def broken(self, resources_, **conditions_):
        template = {
            "AWSTemplateFormatVersion": "2010-09-09", "Description": "", "Parameters": {}, "Conditions": conditions_,
            "Resources": resources_,
        }
        with self.assertRaises(Exception) as refused:
            render(template, {})
        return str(refused.exception)

    def test_a_reference_to_what_a_condition_leaves_out_is_refused(self):
        gone = {"Type": "T", "Condition": "Never"}
        never = {"Fn::Equals": ["a", "b"]}
        for reference in ({"Ref": "Gone"}, {"Fn::GetAtt": ["Gone", "Arn"]}, {"Fn::Sub": "${Gone.Arn}"}):
            found = self.broken({"Gone": gone, "There": {"Type": "T", "Properties": {"P": reference}}}, Never=never)
            self.assertEqual(found, "Gone is not there")
        found = self.broken({"Gone": gone, "There": {"Type": "T", "DependsOn": "Gone"}}, Never=never)
        self.assertEqual(found, "Gone is not there")

    def test_what_is_no_value_is_left_out(self):
        template = {
            "AWSTemplateFormatVersion": "2010-09-09", "Description": "", "Parameters": {},
            "Resources": {"There": {"Type": "T", "Properties": {"P": NO_VALUE, "Q": [NO_VALUE, 1]}}},
        }
        self.assertEqual(render(template, {})["Resources"]["There"]["Properties"], {"Q": [1]})


if __name__ == "__main__":
    unittest.main()
