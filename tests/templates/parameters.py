"""What the stacks are rendered with: every combination of values that a condition or a rule looks at."""

import itertools

from stack import ORDER, allowed, load

_ACCOUNT = "123456789012"
_SECRET = f"arn:aws:secretsmanager:eu-central-1:{_ACCOUNT}:secret:mobz/demo"
_REPOSITORY = f"{_ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/demo"
_DIGEST = "sha256:" + "0123456789abcdef" * 4
_LOAD_BALANCER = "app/demo-o-LoadB-1A2B3C4D5E6F/0123456789abcdef"
_TARGET_GROUP = "targetgroup/demo-o-Targe-1A2B3C4D5E6F/0123456789abcdef"


def _image(name):
    return f"{_REPOSITORY}/{name}@{_DIGEST}"


# The first value is the plain one; what has more is combined with all others that have.
SAMPLES = {
    # From mobz.yaml.
    "Environment": ["demo"],
    "NatGateways": ["1", "2"],
    "RedisReplicas": ["1", "0"],
    "RedisShards": ["1", "3"],
    "MunitSpot": ["false", "true"],
    "AlarmEmail": ["", "ops@example.org"],
    "OriginDomain": ["", "live.example.org"],
    "OriginCertificateArn": ["", f"arn:aws:acm:us-east-1:{_ACCOUNT}:certificate/0a1b"],
    "SignalDomain": ["", "signal.example.org"],
    "SignalCertificateArn": ["", f"arn:aws:acm:us-east-1:{_ACCOUNT}:certificate/0a1b"],
    "TurnDomain": ["", "turn.example.org"],
    "TurnCertificateArn": ["", f"arn:aws:acm:eu-central-1:{_ACCOUNT}:certificate/0a1b"],
    "WebAclArn": ["", f"arn:aws:wafv2:us-east-1:{_ACCOUNT}:global/webacl/demo/0a1b"],
    # From the images and the zip.
    "JanusMediaServerImage": [_image("janus-media-server")],
    "RegulatorImage": [_image("regulator")],
    "SignalingImage": [_image("signaling")],
    "OriginImage": [_image("origin")],
    "CoturnImage": [_image("coturn")],
    "LambdaKey": ["lambda/0123456789abcdef.zip"],
    # From other stacks.
    "VpcId": ["vpc-0123456789abcdef0"],
    "PublicSubnets": ["subnet-0123456789abcdef0,subnet-0123456789abcdef1"],
    "PrivateSubnets": ["subnet-0123456789abcdef2,subnet-0123456789abcdef3"],
    "KeyArn": [f"arn:aws:kms:eu-central-1:{_ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef"],
    "TokenKeysArn": [f"{_SECRET}/token-keys-AbCdEf"],
    "RedisAuthArn": [f"{_SECRET}/redis-auth-AbCdEf"],
    "TurnSecretArn": [f"{_SECRET}/turn-secret-AbCdEf"],
    "RedisUrlArn": [f"{_SECRET}/redis-url-AbCdEf"],
    "RedisGroup": ["demo-redis-1a2b3c"],
    "RedisSecurityGroup": ["sg-0123456789abcdef0"],
    "ArtifactsBucket": ["demo-registry-artifacts-1a2b3c"],
    "ClusterName": ["demo"],
    "MunitLogGroup": ["/mobz/demo/munit"],
    "SignalingLogGroup": ["/mobz/demo/signaling"],
    "OriginLogGroup": ["/mobz/demo/origin"],
    "CoturnLogGroup": ["/mobz/demo/coturn"],
    "TurnUrls": ["", "turn:turn.example.org:3478?transport=udp,turns:turn.example.org:443?transport=tcp"],
    "OriginUrl": ["https://d111111abcdef8.cloudfront.net"],
    "OriginDistribution": ["E1A2B3C4D5E6F7"],
    "OriginLoadBalancer": [_LOAD_BALANCER],
    "OriginTargetGroup": [_TARGET_GROUP],
    "SignalingLoadBalancer": ["", _LOAD_BALANCER],
    "SignalingTargetGroup": ["", _TARGET_GROUP],
    "SignalingApi": ["", "a1b2c3d4e5"],
    "SignalingFunction": ["", "demo-signaling"],
    "ConnectionsUrl": ["", "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/live"],
    "ConnectionsArn": ["", f"arn:aws:execute-api:eu-central-1:{_ACCOUNT}:a1b2c3d4e5/live/*/@connections/*"],
    "CoturnLoadBalancer": ["", "net/demo-c-LoadB-1A2B3C4D5E6F/0123456789abcdef"],
    "CoturnTargetGroup": ["", _TARGET_GROUP],
    "MunitService": ["munit"],
}

# These come from one stack, and so are there all together or not at all.
_TOGETHER = [
    {"SignalingLoadBalancer", "SignalingTargetGroup"},
    {"SignalingApi", "SignalingFunction"},
    {"CoturnLoadBalancer", "CoturnTargetGroup"},
    {"ConnectionsUrl", "ConnectionsArn"},
]


def combinations(template):
    """Every set of parameters that the template allows."""
    names = [name for name in template["Parameters"] if name in SAMPLES]
    for values in itertools.product(*(SAMPLES[name] for name in names)):
        parameters = dict(zip(names, values, strict=True))
        if _come_together(parameters) and allowed(template, parameters):
            yield parameters


def everything():
    """Every stack with every set of its parameters: (stack, template, parameters)."""
    for name in ORDER:
        template = load(name)
        for parameters in combinations(template):
            yield name, template, parameters


def _come_together(parameters):
    groups = [[parameters[name] == "" for name in group if name in parameters] for group in _TOGETHER]
    return all(len(set(group)) <= 1 for group in groups)
