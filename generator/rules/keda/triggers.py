"""Rules of KEDA's triggers: what nothing checks before the operator reads them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from generator.documents import Json
from generator.rules import Book, Scene, Spot
from generator.rules.fields import spec

BOOK = Book("autoscaling")

_RESOURCES = ("cpu", "memory")
_SCHEMA = "kedacore/keda@schema/generated/scalers-schema.json"

_NEEDED: dict[str, tuple[str, ...]] = {
    "prometheus": ("serverAddress", "query", "threshold"),
    "cron": ("timezone", "start", "end", "desiredReplicas"),
    "cpu": ("value",),
    "memory": ("value",),
    "kafka": ("bootstrapServers", "consumerGroup"),
    "aws-sqs-queue": ("queueURL", "awsRegion"),
    "nats-jetstream": ("natsServerMonitoringEndpoint", "stream", "consumer"),
    "metrics-api": ("url", "valueLocation"),
    "kubernetes-workload": ("podSelector", "value"),
    "external-push": ("scalerAddress",),
}
"""What a trigger cannot do without, of the types that are used for inference."""

_OPTIONAL: dict[str, tuple[str, ...]] = {
    "prometheus": (
        *("activationThreshold", "namespace", "customHeaders", "queryParameters", "authModes"),
        *("ignoreNullValues", "unsafeSsl", "timeout", "awsRegion", "identityOwner"),
    ),
    "cron": (),
    "cpu": ("containerName", "type"),
    "memory": ("containerName", "type"),
    "kafka": (
        *("topic", "lagThreshold", "activationLagThreshold", "offsetResetPolicy", "version"),
        *("allowIdleConsumers", "scaleToZeroOnInvalidOffset", "excludePersistentLag", "sasl"),
        *("limitToPartitionsWithLag", "partitionLimitation", "tls", "awsRegion"),
        *("ensureEvenDistributionOfPartitions",),
    ),
    "aws-sqs-queue": (
        *("queueLength", "activationQueueLength", "awsEndpoint", "scaleOnInFlight"),
        *("scaleOnDelayed", "identityOwner"),
    ),
    "nats-jetstream": (
        *("account", "accountID", "lagThreshold", "activationLagThreshold", "useHttps"),
    ),
    "metrics-api": (
        *("targetValue", "activationTargetValue", "format", "unsafeSsl", "aggregationType"),
        *("aggregateFromKubeServiceEndpoints", "authMode", "keyParamName", "method"),
    ),
    "kubernetes-workload": ("activationValue", "groupByNode"),
}
_KNOWN = {kind: frozenset((*_NEEDED[kind], *_OPTIONAL[kind])) for kind in _OPTIONAL}
"""All that a trigger of these types reads; external ones pass everything on."""

_TYPES = frozenset(
    (
        *("activemq", "apache-kafka", "arangodb", "artemis-queue", "aws-cloudwatch"),
        *("aws-dynamodb", "aws-dynamodb-streams", "aws-kinesis-stream", "aws-sqs-queue"),
        *("azure-app-insights", "azure-blob", "azure-data-explorer", "azure-eventhub"),
        *("azure-log-analytics", "azure-monitor", "azure-pipelines", "azure-queue"),
        *("azure-servicebus", "beanstalkd", "cassandra", "couchdb", "cpu", "cron", "datadog"),
        *("dynatrace", "elasticsearch", "etcd", "external", "external-push"),
        *("forgejo-runner", "gcp-cloudtasks", "gcp-pubsub", "gcp-stackdriver", "gcp-storage"),
        *("github-runner", "graphite", "huawei-cloudeye", "ibmmq", "influxdb", "kafka"),
        *("kubernetes-resource", "kubernetes-workload", "liiklus", "loki", "memory"),
        *("metrics-api", "mongodb", "mssql", "mysql", "nats-jetstream", "new-relic", "nsq"),
        *("opencost", "opensearch", "openstack-metric", "openstack-swift", "postgresql"),
        *("predictkube",),
        *("prometheus", "pulsar", "rabbitmq", "redis", "redis-cluster"),
        *("redis-cluster-streams", "redis-sentinel", "redis-sentinel-streams"),
        *("redis-streams", "selenium-grid", "solace-direct-messaging", "solace-event-queue"),
        *("solarwinds", "solr", "splunk", "splunk-observability", "stan", "sumologic"),
        *("temporal"),
    )
)
_AUTHENTICATED = frozenset(("tls", "bearer", "basic", "oauth", "custom", "apiKey"))


def _each(item: Json) -> Iterator[tuple[Json, Json, tuple[str | int, ...]]]:
    """Give the triggers, what they say, and the ways to them."""
    for index, trigger in enumerate(spec(item).get("triggers") or ()):
        yield trigger, trigger.get("metadata") or {}, ("spec", "triggers", index)


def _meant(word: str, known: Iterable[str]) -> str:
    """Find what a word is a slip of; KEDA may well have others, which are none."""
    spelled = {each.lower(): each for each in known}
    near = difflib.get_close_matches(word.lower(), spelled, n=1, cutoff=0.84)
    return spelled[near[0]] if near else ""


_METRIC_TYPE = BOOK.error(
    "A039",
    "KEDA asks cpu and memory triggers for `metricType`, beside `metadata` and not in it.",
    evidence="kedacore/keda@CHANGELOG.md, kedacore/keda@pkg/scalers/cpu_memory_scaler.go",
    remedy="Write `metricType: Utilization` beside `type`, and remove `metadata.type`.",
    keda=">=2.18",
)


@_METRIC_TYPE.on_objects("ScaledObject", "ScaledJob")
def _without_metric_type(item: Json, scene: Scene) -> Iterator[Spot]:
    for trigger, metadata, pointer in _each(item):
        if trigger.get("type") not in _RESOURCES:
            continue
        hint = f"write `metricType: {metadata.get('type', 'Utilization')}` beside `type`"
        if "type" in metadata:
            message = "KEDA refuses `metadata.type` since 2.18"
            yield Spot(message, (*pointer, "metadata", "type"), f"remove it, and {hint}")
        elif not trigger.get("metricType"):
            yield Spot(f"a {trigger['type']} trigger needs `metricType`", pointer, hint)


_UTILIZATION = BOOK.error(
    "A040",
    "Only cpu and memory have a utilization.",
    evidence="kedacore/keda@pkg/scalers/scaler.go",
    remedy="Write `metricType: AverageValue`, which is per replica.",
)


@_UTILIZATION.on_objects("ScaledObject")
def _utilization_of_a_metric(item: Json, scene: Scene) -> Iterator[Spot]:
    for trigger, _, pointer in _each(item):
        if trigger.get("metricType") == "Utilization" and trigger.get("type") not in _RESOURCES:
            message = f"a trigger of type {trigger.get('type')} has no utilization"
            hint = "write `AverageValue` (per replica) or `Value` (as it is)"
            yield Spot(message, (*pointer, "metricType"), hint)


_MISSPELT = BOOK.error(
    "A041",
    "KEDA ignores a key of a trigger that it does not know, such as a misspelt one.",
    evidence=f"{_SCHEMA}, kedacore/keda@pkg/scalers/scalersconfig/typed_config.go",
    remedy="Write the key as KEDA's documentation of the trigger does.",
)


@_MISSPELT.on_objects("ScaledObject", "ScaledJob")
def _misspelt_key(item: Json, scene: Scene) -> Iterator[Spot]:
    for trigger, metadata, pointer in _each(item):
        kind = str(trigger.get("type"))
        known = _KNOWN.get(kind, frozenset())
        for key in metadata:
            if known and key not in known and not key.endswith("FromEnv"):
                meant = _meant(key, known)
                if meant and meant not in metadata:
                    message = f"a trigger of type {kind} reads no `{key}`, and KEDA ignores it"
                    yield Spot(message, (*pointer, "metadata", key), f"did you mean `{meant}`?")


_MISSING = BOOK.error(
    "A042",
    "A trigger without a key that it needs is never ready.",
    evidence=_SCHEMA,
    remedy="Add the key under the trigger's `metadata`.",
)


@_MISSING.on_objects("ScaledObject", "ScaledJob")
def _missing_key(item: Json, scene: Scene) -> Iterator[Spot]:
    for trigger, metadata, pointer in _each(item):
        kind = str(trigger.get("type"))
        if "authenticationRef" in trigger:
            continue
        strangers = [key for key in metadata if key not in _KNOWN.get(kind, metadata)]
        misspelt = {_meant(key, _KNOWN[kind]) for key in strangers}
        for key in _NEEDED.get(kind, ()):
            if not {key, f"{key}FromEnv"} & metadata.keys() and key not in misspelt:
                message = f"a trigger of type {kind} needs `{key}`"
                yield Spot(message, (*pointer, "metadata"), f"add `{key}`")


_NO_THRESHOLD = BOOK.error(
    "A043",
    "A threshold of 0, or one that is no number, makes an HPA that the API server refuses.",
    evidence="kedacore/keda#5857",
    remedy="Write what one replica takes, as a number above 0 in quotes.",
)

_THRESHOLDS = {
    "prometheus": "threshold",
    "cpu": "value",
    "memory": "value",
    "kafka": "lagThreshold",
    "nats-jetstream": "lagThreshold",
    "aws-sqs-queue": "queueLength",
    "kubernetes-workload": "value",
    "metrics-api": "targetValue",
}


@_NO_THRESHOLD.on_objects("ScaledObject")
def _threshold_of_nothing(item: Json, scene: Scene) -> Iterator[Spot]:
    for trigger, metadata, pointer in _each(item):
        key = _THRESHOLDS.get(str(trigger.get("type")), "")
        value = metadata.get(key)
        is_amount = trigger.get("type") in _RESOURCES and trigger.get("metricType") != "Utilization"
        if value is not None and not is_amount and not _is_positive(value):
            message = f"`{key}: {value}` is not what a replica could take"
            yield Spot(message, (*pointer, "metadata", key), 'a number above 0, such as `"10"`')


def _is_positive(text: object) -> bool:
    try:
        return float(str(text)) >= 0.001
    except ValueError:
        return False


_NO_TYPE = BOOK.error(
    "A044",
    "A trigger of a type that KEDA does not have never scales anything.",
    evidence=_SCHEMA,
    remedy="Write the type as KEDA's documentation does.",
)


@_NO_TYPE.on_objects("ScaledObject", "ScaledJob")
def _unknown_type(item: Json, scene: Scene) -> Iterator[Spot]:
    for trigger, _, pointer in _each(item):
        kind = str(trigger.get("type"))
        meant = "" if kind in _TYPES else _meant(kind, _TYPES)
        if meant:
            message = f"KEDA has no trigger of type `{kind}`"
            yield Spot(message, (*pointer, "type"), f"did you mean `{meant}`?")


_METRIC_NAME = BOOK.warning(
    "A045",
    "`metadata.metricName` of a Prometheus trigger is ignored since KEDA 2.12.",
    evidence="kedacore/keda#4899",
    remedy="Remove it; a trigger is told apart by its `name`.",
)


@_METRIC_NAME.on_objects("ScaledObject")
def _ignored_name(item: Json, scene: Scene) -> Iterator[Spot]:
    for trigger, metadata, pointer in _each(item):
        if trigger.get("type") == "prometheus" and "metricName" in metadata:
            message = "KEDA ignores `metricName`: the metric is called after the trigger's place"
            hint = "remove it; `name` beside `type` tells triggers apart"
            yield Spot(message, (*pointer, "metadata", "metricName"), hint)


_SCHEDULE = BOOK.error(
    "A049",
    "A cron trigger needs two times that differ and replicas to add between them.",
    evidence="kedacore/keda@pkg/scalers/cron_scaler.go",
    remedy="Write `start`, another `end` and `desiredReplicas` of at least 1.",
)


@_SCHEDULE.on_objects("ScaledObject")
def _bad_schedule(item: Json, scene: Scene) -> Iterator[Spot]:
    for trigger, metadata, pointer in _each(item):
        if trigger.get("type") != "cron":
            continue
        start, end = (str(metadata.get(key, "")).split() for key in ("start", "end"))
        if start and start == end:
            message = "`start` and `end` are the same time, which KEDA refuses"
            yield Spot(message, (*pointer, "metadata", "end"), "write when it ends")
        for key, fields in (("start", start), ("end", end)):
            if fields and len(fields) != 5:
                message = f"`{key}` has {len(fields)} fields, and cron has 5"
                yield Spot(message, (*pointer, "metadata", key), 'such as `"0 8 * * 1-5"`')
        if metadata.get("desiredReplicas") == "0":
            message = "`desiredReplicas` of 0 keeps nothing running"
            yield Spot(message, (*pointer, "metadata", "desiredReplicas"), "write at least 1")


_ACTIVATION = BOOK.warning(
    "A050",
    "An activation threshold above the threshold puts a model to sleep that has work to do.",
    evidence="kedacore/keda-docs@content/docs/2.20/concepts/scaling-deployments.md",
    remedy="Lower `activationThreshold` below `threshold`, or remove it where the minimum is 1.",
)


@_ACTIVATION.on_objects("ScaledObject")
def _activation_above_threshold(item: Json, scene: Scene) -> Iterator[Spot]:
    is_awake = bool(spec(item).get("minReplicaCount")) and spec(item).get("idleReplicaCount") != 0
    for _, metadata, pointer in _each(item):
        activation, threshold = metadata.get("activationThreshold"), metadata.get("threshold")
        if not (_is_positive(activation) and _is_positive(threshold)):
            continue
        place = (*pointer, "metadata", "activationThreshold")
        if is_awake:
            message = "nothing is activated where the minimum is 1 or more"
            yield Spot(message, place, "remove it, or write `minReplicaCount: 0`")
        elif float(str(activation)) >= float(str(threshold)):
            message = f"below {activation} the model sleeps, though a replica takes {threshold}"
            yield Spot(message, place, f"less than {threshold}")


_AUTH = BOOK.error(
    "A051",
    "A trigger that asks for authentication names who holds the secret.",
    evidence="kedacore/keda@pkg/scalers/authentication/authentication_types.go",
    remedy="Add `authenticationRef` with the name of a TriggerAuthentication.",
)


@_AUTH.on_objects("ScaledObject", "ScaledJob")
def _authentication_without_a_secret(item: Json, scene: Scene) -> Iterator[Spot]:
    for trigger, metadata, pointer in _each(item):
        modes = str(metadata.get("authModes", ""))
        place = (*pointer, "metadata", "authModes")
        unknown = {mode.strip() for mode in modes.split(",")} - _AUTHENTICATED - {""}
        if unknown:
            message = f"KEDA knows no `authModes: {modes}`"
            yield Spot(message, place, "one of tls, bearer, basic, oauth, custom, apiKey")
        elif modes and not trigger.get("authenticationRef"):
            message = f"`authModes: {modes}` needs a secret, and nothing names one"
            yield Spot(message, place, "add `authenticationRef: {name: ...}` to the trigger")


@BOOK.error(
    "A055",
    "KEDA's webhook refuses an identity that is empty, or that two keys give differently.",
    evidence="kedacore/keda@apis/keda/v1alpha1/triggerauthentication_webhook.go",
    remedy="Give one identity, `roleArn` or `identityOwner: workload`, and no empty id.",
).on_objects("TriggerAuthentication", "ClusterTriggerAuthentication")
def _identity_given_twice(item: Json, scene: Scene) -> Iterator[Spot]:
    identity, pointer = spec(item).get("podIdentity") or {}, ("spec", "podIdentity")
    if str(identity.get("provider", "")).startswith("azure") and identity.get("identityId") == "":
        yield Spot("an empty `identityId` is nobody", (*pointer, "identityId"), "remove it")
    if identity.get("roleArn") and identity.get("identityOwner") == "workload":
        message = "the role is `roleArn`, or the workload's own, and this says both"
        yield Spot(message, (*pointer, "roleArn"), "remove one of the two")
    if identity.get("externalID") and not identity.get("roleArn"):
        message = "`externalID` is for taking a role, and there is no `roleArn`"
        yield Spot(message, (*pointer, "externalID"), "add `roleArn`, or remove it")
