"""Rules of devices that are claimed, of TPUs, and of labels that choose too many nodes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import prod

from generator.inventory.records import Environment, Flavor
from generator.queues import accelerators
from generator.records import Release
from generator.rules import Book, Finding
from generator.rules.places import at_key, at_setting, in_environment

BOOK = Book("GPU")

_DRA = (
    "kubernetes/website@content/en/docs/concepts/scheduling-eviction/dynamic-resource-allocation.md"
)
_KUEUE = "kubernetes-sigs/kueue@site/content/en/docs/concepts/dynamic_resource_allocation.md"
_TPU = "ray-project/ray@doc/source/cluster/kubernetes/user-guides/tpu.md"


def _claimed(environment: Environment) -> Iterator[Flavor]:
    return (flavor for flavor in environment.flavors.values() if flavor.device_class)


def _place(flavor: Flavor, *keys: str) -> tuple[str, ...]:
    return ("flavors", flavor.name, *keys)


BOOK.error(
    "G101",
    "Devices are claimed by resource.k8s.io/v1, which Kubernetes has since 1.34.",
    evidence=_DRA,
    remedy="Remove `dra`, so that Pods ask for the extended resource; or upgrade the cluster.",
)


_UNCOUNTED = BOOK.error(
    "G102",
    "Kueue counts claims by ResourceClaimTemplates since 0.18.",
    evidence=_KUEUE,
    remedy="Upgrade Kueue, or grant no quota of the flavor.",
    kueue="<0.18",
)


@_UNCOUNTED.on_environment
def _claims_of_an_old_queue(environment: Environment) -> Iterator[Finding]:
    claimed = {flavor.name for flavor in _claimed(environment)}
    for name, queue in environment.queues.items():
        for grant in queue.flavors:
            if grant["name"] in claimed:
                message = f"Kueue {environment.kueue} admits no Pod that claims devices; 0.18 does"
                pointer = ("queues", name, "quota", grant["name"])
                yield at_key(environment, pointer, message, "upgrade Kueue, or remove this quota")


_NOT_HANDED_ON = BOOK.error(
    "G103",
    "A claim is handed on by InferenceServices in Standard mode and by Deployments alone.",
    evidence="knative/serving@pkg/apis/serving/fieldmask.go, "
    "kserve/kserve@pkg/controller/v1alpha2/llmisvc/managed_dra.go, "
    "kubeflow/trainer@pkg/apis/trainer/v1alpha1/trainjob_types.go",
    remedy="Name a flavor without `dra`, whose accelerators are an extended resource.",
)
_HANDS_ON = ("kserve", "deployment")


@_NOT_HANDED_ON.on_release_with("gpu")
def _claim_that_nobody_hands_on(release: Release) -> Iterator[Finding]:
    placement = release.placement
    if placement is None or placement.claim is None:
        return
    knative = release.strategy == "knative"
    if knative or release.serving.backend not in _HANDS_ON:
        who = "Knative" if knative else f"`backend: {release.serving.backend}`"
        message = f"{who} does not hand the claim of flavor `{placement.flavor}` on to its Pods"
        hint = "name a flavor without `dra`"
        yield at_setting(release, ("serving", "gpu", "flavor"), message, hint)


@_NOT_HANDED_ON.on_release_with("training")
def _claim_of_a_run(release: Release) -> Iterator[Finding]:
    name = getattr(release.facts.get("training"), "flavor", "")
    flavor = release.environment.flavors.get(name)
    if flavor and flavor.device_class:
        message = f"a TrainJob does not hand the claim of flavor `{name}` on to its Pods"
        hint = "name a flavor without `dra`"
        yield at_setting(release, ("training", "gpu", "flavor"), message, hint)


_TWO_CHOOSERS = BOOK.error(
    "G104",
    "Kueue does not choose nodes by topology for Pods that claim devices.",
    evidence=_KUEUE,
    remedy="Remove `topology` or `dra` from the flavor.",
)


@_TWO_CHOOSERS.on_environment
def _topology_of_claims(environment: Environment) -> Iterator[Finding]:
    for flavor in _claimed(environment):
        if flavor.topology:
            message = "Kueue admits no Pod that claims devices to a flavor with a topology"
            hint = "remove `topology`, or `dra`"
            yield in_environment(environment, _place(flavor, "topology"), message, hint)


_TWO_NAMES = BOOK.error(
    "G105",
    "Kueue counts the devices of a class as one resource.",
    evidence=_KUEUE,
    remedy="Give the flavors of one DeviceClass the same `resource`.",
)


@_TWO_NAMES.on_environment
def _class_of_two_resources(environment: Environment) -> Iterator[Finding]:
    for one, other in combinations(_claimed(environment), 2):
        if one.device_class == other.device_class and one.resource != other.resource:
            message = (
                f"`{one.name}` counts devices of {one.device_class} as {one.resource}, and Kueue "
                "maps a class to one resource"
            )
            hint = f"write `{one.resource}`, as `deviceClassMappings` of Kueue has it"
            yield in_environment(environment, _place(other, "resource"), message, hint)


_TWO_GIVERS = BOOK.warning(
    "G106",
    "A GPU is given out by the device plugin or by a DRA driver, not by both.",
    evidence="NVIDIA/k8s-dra-driver-gpu@README.md",
    remedy="Let the nodes of each flavor have one of them, and a label that says which.",
)


@_TWO_GIVERS.on_environment
def _nodes_of_both(environment: Environment) -> Iterator[Finding]:
    for flavor in _claimed(environment):
        for other in environment.flavors.values():
            is_plain = other.resource and not other.device_class
            if is_plain and other.node_labels == flavor.node_labels and _is_of(flavor, other):
                message = (
                    f"the nodes of `{other.name}` have the same labels, and offer {other.resource} "
                    "by a device plugin: both would give out the same devices"
                )
                hint = "add a label that only the nodes of the one have"
                yield at_key(environment, _place(flavor, "dra"), message, hint)


def _is_of(flavor: Flavor, other: Flavor) -> bool:
    """Say whether both are of one vendor, as far as names tell."""
    vendor = other.resource.partition("/")[0].rpartition(".")[0].rpartition(".")[2]
    return bool(vendor) and vendor in flavor.device_class


# TPUs

_RESOURCE = "google.com/tpu"
_SORT, _TOPOLOGY = "cloud.google.com/gke-tpu-accelerator", "cloud.google.com/gke-tpu-topology"

_WHICH_TPU = BOOK.error(
    "G107",
    "GKE finds nodes with TPUs by two labels: the sort of TPU, and the topology of the slice.",
    evidence=_TPU,
    remedy="Add both labels to `nodeLabels`.",
)


def _tpus(environment: Environment) -> Iterator[Flavor]:
    return (flavor for flavor in environment.flavors.values() if flavor.resource == _RESOURCE)


@_WHICH_TPU.on_environment
def _tpu_without_labels(environment: Environment) -> Iterator[Finding]:
    for flavor in _tpus(environment):
        missing = [key for key in (_SORT, _TOPOLOGY) if key not in flavor.node_labels]
        if missing:
            message = f"GKE places no Pod with {_RESOURCE} that does not select {missing[0]}"
            hint = f"add `{_SORT}: tpu-v5-lite-podslice` and `{_TOPOLOGY}: 2x4`, as the nodes are"
            yield at_key(environment, _place(flavor), message, hint)


def _chips(flavor: Flavor) -> int:
    """Count the chips of a slice; 0 where its topology is not said."""
    sides = flavor.node_labels.get(_TOPOLOGY, "").split("x")
    return prod(map(int, sides)) if all(side.isdecimal() for side in sides) else 0


def _per_node(flavor: Flavor) -> int:
    """Count the chips of a node: of a flat slice at most 8, of a cube 4."""
    sides = flavor.node_labels.get(_TOPOLOGY, "").count("x") + 1
    return flavor.gpus_per_node or min(_chips(flavor), 8 if sides == 2 else 4)


_WHOLE_NODE = BOOK.error(
    "G108",
    "A Pod takes all TPU chips of its node, or it is not placed.",
    evidence=_TPU,
    remedy="Ask for as many chips as a node of the flavor has.",
)


@_WHOLE_NODE.on_release_with("gpu")
def _part_of_a_node(release: Release) -> Iterator[Finding]:
    placement = release.placement
    if placement is None or placement.resource != _RESOURCE:
        return
    flavor = release.environment.flavors[placement.flavor]
    chips = _per_node(flavor)
    if chips and placement.count != chips:
        message = f"a node of flavor `{flavor.name}` has {chips} TPU chips, and a Pod takes all"
        yield at_setting(release, ("serving", "gpu", "count"), message, f"write `count: {chips}`")


_SEVERAL_NODES = BOOK.error(
    "G109",
    "A slice of more TPU chips than a node has is several nodes, which one replica cannot use.",
    evidence=_TPU,
    remedy="Use a topology of one host, such as `2x4`, or `2x2x1`.",
)


@_SEVERAL_NODES.on_environment
def _slice_of_several_nodes(environment: Environment) -> Iterator[Finding]:
    for flavor in _tpus(environment):
        chips, most = _chips(flavor), _per_node(flavor)
        if chips > most:
            value = flavor.node_labels[_TOPOLOGY]
            message = f"a slice of {value} has {chips} chips on several nodes, and a replica is one"
            pointer = _place(flavor, "nodeLabels", _TOPOLOGY)
            hint = "use a topology of one host, such as `2x4`, or `2x2x1`"
            yield in_environment(environment, pointer, message, hint)


# Labels

_ANY_OF_THEM = BOOK.warning(
    "G110",
    "A label that says the vendor alone chooses every GPU of the vendor.",
    evidence="NVIDIA/k8s-device-plugin@docs/gpu-feature-discovery/README.md",
    remedy="Add a label of the product, of the instance type, or of the node pool.",
)
_OF_THE_VENDOR = frozenset(
    {
        "kubernetes.azure.com/accelerator",
        "karpenter.k8s.aws/instance-gpu-manufacturer",
        "nvidia.com/gpu.present",
        "nvidia.com/gpu.deploy.device-plugin",
        "feature.node.kubernetes.io/pci-10de.present",
        "feature.node.kubernetes.io/pci-1002.present",
    }
)


@_ANY_OF_THEM.on_environment
def _any_gpu(environment: Environment) -> Iterator[Finding]:
    """One kind of accelerators may be found by whatever it has; of several, each needs more."""
    flavors = [each for each in environment.flavors.values() if each.resource]
    for flavor in flavors:
        labels = flavor.node_labels
        alike = [each for each in flavors if each.resource == flavor.resource]
        if len(alike) > 1 and labels and labels.keys() <= _OF_THE_VENDOR:
            message = (
                f"the labels of `{flavor.name}` fit every node with {flavor.resource}, and "
                f"{environment.name} has {len(alike)} kinds of them"
            )
            hint = "add a label of the product, of the instance type, or of the node pool"
            yield at_key(environment, _place(flavor, "nodeLabels"), message, hint)


_NO_SLICE = BOOK.error(
    "G111",
    "No GPU of the product has slices of the profile that its name says.",
    evidence="NVIDIA/gpu-operator@assets/state-mig-manager/0400_configmap.yaml, "
    "NVIDIA/k8s-device-plugin@internal/lm/mig-strategy.go",
    remedy="Name a profile of the GPU, as `kubectl get nodes --show-labels` shows it.",
)
_PRODUCT = "nvidia.com/gpu.product"


@_NO_SLICE.on_environment
def _slice_of_another_gpu(environment: Environment) -> Iterator[Finding]:
    for flavor in environment.flavors.values():
        product, _, profile = flavor.node_labels.get(_PRODUCT, "").partition("-MIG-")
        named = profile.removesuffix("-SHARED")
        whole = {_PRODUCT: product}
        if named and accelerators.slices(f"nvidia.com/mig-{named}", whole) == 0:
            message = f"{product} has no MIG profile {named}"
            pointer = _place(flavor, "nodeLabels", _PRODUCT)
            hint = "name a profile of that GPU, such as `1g.10gb` of one with 80 GB"
            yield in_environment(environment, pointer, message, hint)
