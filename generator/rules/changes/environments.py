"""Rules of what may not happen to an environment while models live in it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

from generator.documents import Json
from generator.inventory.records import Flavor
from generator.problems import Where
from generator.records import Release
from generator.rules import SYSTEMS, Book, EnvironmentStep, Finding, Scene, Spot, Step
from generator.rules.changes.transitions import Look, both, is_other, is_steady, leaving
from generator.rules.kueue.accessors import described
from generator.values import minors

BOOK = Book("change")

_GONE = BOOK.error(
    "R020",
    "Removing an environment deletes nothing: its root Application has no folder to sync any more, "
    "so Argo CD keeps everything as it is.",
    evidence="argoproj/argo-cd#3686, argoproj/argo-cd#5205",
    remedy="Remove the models from it first; then delete its root Application in Argo CD, and the "
    "environment in a commit of its own.",
)


@_GONE.on_step
def _environment_gone(step: Step) -> Iterator[Finding]:
    if step.before is None or step.environment is not None:
        return
    environment = step.before.environment
    message = (
        f"environment {environment.name} is removed while models run in it: Argo CD finds no "
        "folder to compare with, deletes nothing, and they run on"
    )
    hint = (
        "put the file back and remove the models from it first; then delete the Application "
        f"`{environment.name}` in Argo CD, and this file in a later commit"
    )
    yield Finding(message, Where(environment.document.path), hint, step.before.model)


_RENAMED = BOOK.error(
    "R021",
    "An environment with another name has other Applications and ClusterQueues for the same "
    "objects, and a LocalQueue never changes its ClusterQueue.",
    evidence="argoproj/argo-cd#16721, kubernetes-sigs/kueue@apis/kueue/v1beta2/localqueue_types.go",
    remedy="Keep the name. Where it has to change, describe the new environment with a namespace "
    "of its own, and move the models to it.",
)


@_RENAMED.on_environment_step
def _environment_renamed(step: EnvironmentStep) -> Iterator[Finding]:
    was, now = step.before, step.after
    if was.name == now.name:
        return
    queues = [name for name in was.queues if name in now.queues]
    refused = f", and Kueue refuses LocalQueue `{queues[0]}` another ClusterQueue" if queues else ""
    message = (
        f"`{was.name}` becomes `{now.name}` in the same namespace: two sets of Applications would "
        f"own the same objects{refused}"
    )
    hint = f"keep the name `{was.name}`, or give the new environment a namespace of its own"
    yield Finding(message, now.document.where("name"), hint)


_NAMESPACE = BOOK.error(
    "R022",
    "In another namespace, models start cold at another host, and Argo CD leaves the old ones "
    "behind, because their project no longer allows where they are.",
    evidence="argoproj/argo-cd@controller/state.go, argoproj/argo-cd#9172",
    remedy="Describe the new namespace as another environment, add the models there, move their "
    "callers, then remove them here.",
)


@_NAMESPACE.on_step
def _other_namespace(step: Step) -> Iterator[Finding]:
    pair = both(step)
    if pair is None:
        return
    was, now = (release.environment for release in pair)
    if was.namespace != now.namespace:
        message = (
            f"what runs in namespace {was.namespace} would stay there, with no one to look after "
            f"it, while it starts anew in {now.namespace}, at another host"
        )
        hint = (
            f"keep `namespace: {was.namespace}`, and describe {now.namespace} as another "
            "environment to which the models move"
        )
        yield Finding(message, now.document.where("namespace"), hint, pair[1].model)


_CLUSTER = BOOK.warning(
    "R023",
    "To Argo CD another address is another cluster: models start there, and those on the old one "
    "are left behind.",
    evidence="argoproj/argo-cd#9172, argoproj/argo-cd#5668",
    remedy="If it is another cluster, describe it as another environment and move the models. If "
    "it is the same one, register the new address in Argo CD first.",
)


@_CLUSTER.on_step
def _other_cluster(step: Step) -> Iterator[Finding]:
    pair = both(step)
    if pair is None:
        return
    was, now = (release.environment for release in pair)
    if was.cluster != now.cluster:
        message = (
            f"unless {now.cluster} is the cluster that was {was.cluster}, everything starts anew "
            "there, and what runs on the old one is left behind"
        )
        hint = "describe another cluster as another environment, and move the models to it"
        key = "name" if now.cluster_name else "server"
        yield Finding(message, now.document.where("cluster", key), hint, pair[1].model)


_PUBLISHED = BOOK.warning(
    "R024",
    "Another domain or Gateway is another address for every model at once; the old one answers "
    "404 from then on.",
    evidence="kubernetes-sigs/gateway-api@apis/v1/httproute_types.go",
    remedy="Keep the old address alive while callers move: a template of your own in "
    "templates/overlay/extra/ can publish the same Services there.",
)


@_PUBLISHED.on_step
def _published_elsewhere(step: Step) -> Iterator[Finding]:
    pair = both(step)
    if pair is None or not (pair[0].host and pair[1].host):
        return
    was, now = (release.environment for release in pair)
    if was.gateway is None or now.gateway is None or was.namespace != now.namespace:
        return
    if was.gateway != now.gateway:
        is_domain = was.gateway.domain != now.gateway.domain
        key = "domain" if is_domain else "gateway"
        old = was.gateway.domain if is_domain else f"Gateway {was.gateway.name}"
        message = f"models are no longer published at {old}: whoever calls them there gets a 404"
        hint = "publish them at both for a while, by a template in templates/overlay/extra/"
        where = now.document.where("platform", "kserve", key, key=not is_domain)
        yield Finding(message, where, hint, pair[1].model)


_ROOT = BOOK.warning(
    "R025",
    "The root Application of an environment is applied by a person, and follows nothing that is "
    "merged: it keeps to the repository, branch and namespace that it was told.",
    evidence="argoproj/argo-cd@docs/operator-manual/cluster-bootstrapping.md",
    remedy="After the merge, apply `argocd/<environment>.yaml` once more.",
)


@_ROOT.on_environment_step
def _root_stays(step: EnvironmentStep) -> Iterator[Finding]:
    was, now = step.before.argocd, step.after.argocd
    changed = {
        "repoURL": was.repo_url != now.repo_url,
        "revision": was.revision != now.revision,
        "namespace": was.namespace != now.namespace and not was.cascade,
    }
    name = step.after.name
    for key in (key for key, is_other_value in changed.items() if is_other_value):
        message = (
            f"the root Application {name} in the cluster does not follow this: what is merged "
            "afterwards is ignored, or synced by two of them"
        )
        hint = f"after the merge, `kubectl apply -f argocd/{name}.yaml`"
        document = step.after.document
        has = document.has(("argocd", key))
        where = document.where("argocd", *((key,) if has else ()), key=not has)
        yield Finding(message, where, hint)
        return


_RECREATED = BOOK.error(
    "R026",
    "In another namespace of Argo CD all Applications are new ones; the old ones are deleted, and "
    "with `cascade` they take their models with them.",
    evidence="argoproj/argo-cd@docs/user-guide/app_deletion.md",
    remedy="Set `cascade: false` first and wait until the finalizers are gone; move the "
    "Applications in a later commit.",
)


@_RECREATED.on_environment_step
def _recreated(step: EnvironmentStep) -> Iterator[Finding]:
    was, now = step.before.argocd, step.after.argocd
    if was.namespace != now.namespace and was.cascade:
        message = (
            f"the Applications in {was.namespace} are deleted, and with `cascade: true` all models "
            f"of {step.after.name} with them, before those in {now.namespace} start them again"
        )
        hint = "write `cascade: false` in a commit before, and wait until Argo CD has synced it"
        has = step.after.document.has(("argocd", "namespace"))
        where = step.after.document.where("argocd", *(("namespace",) if has else ()), key=not has)
        yield Finding(message, where, hint)


_MANUAL = BOOK.warning(
    "R027",
    "Without automated sync nothing that is merged reaches the cluster by itself, a rollback "
    "included.",
    evidence="argoproj/argo-cd@docs/user-guide/auto_sync.md",
    remedy="Leave `autoSync` on, or tell whoever reverts a commit to sync as well.",
)


@_MANUAL.on_environment_step
def _sync_turned_off(step: EnvironmentStep) -> Iterator[Finding]:
    if step.before.argocd.auto_sync and not step.after.argocd.auto_sync:
        message = (
            f"from now on a merge changes nothing in {step.after.name} until a person syncs, and a "
            "`git revert` rolls nothing back"
        )
        where = step.after.document.where("argocd", "autoSync")
        yield Finding(message, where, "leave it on, or have the sync done by whoever merges")


_CASCADE = BOOK.warning(
    "R028",
    "With `cascade`, a model's file that is lost, by a bad merge or a revert too many, takes the "
    "model down.",
    evidence="argoproj/argo-cd@docs/user-guide/app_deletion.md",
    remedy="Turn it on to remove models, and off again.",
)


@_CASCADE.on_environment_step
def _cascade_turned_on(step: EnvironmentStep) -> Iterator[Finding]:
    if step.after.argocd.cascade and not step.before.argocd.cascade:
        message = (
            f"from now on, whatever removes a model's Application from {step.after.name} deletes "
            "the model with its Pods"
        )
        where = step.after.document.where("argocd", "cascade")
        yield Finding(message, where, "turn it on to remove models, and off again")


_OLDER = BOOK.warning(
    "R029",
    "Clusters and what is installed in them are not taken back to an older version: what is stored "
    "may be in a form that only the newer one reads.",
    evidence="kubernetes/website#12327",
    remedy="If the number was wrong before, this corrects it. If not, build a new cluster.",
)


@_OLDER.on_environment_step
def _older(step: EnvironmentStep) -> Iterator[Finding]:
    for system in SYSTEMS:
        was, now = getattr(step.before, system), getattr(step.after, system)
        if was and now and minors.parsed(now) < minors.parsed(was):
            message = f"{system} was {was} until now, and is not taken back to {now}"
            hint = "fine if the number was wrong before; otherwise keep it"
            pointer = _VERSION.get(system, ("platform", system, "version"))
            yield Finding(message, step.after.document.where(*pointer), hint)


_VERSION = {"kubernetes": ("cluster", "kubernetes")}


_NODES = BOOK.warning(
    "R030",
    "What a flavor says of its nodes is in the Pods of its models, as a selector, tolerations and "
    "a request: when it changes, all of them restart at once.",
    evidence="kubernetes/website@content/en/docs/concepts/workloads/controllers/deployment.md",
    remedy="Describe the new nodes as another flavor, and move one model after the other.",
)


@_NODES.on_step
def _other_nodes(step: Step) -> Iterator[Finding]:
    pair = both(step)
    old, new = (_flavor(release) for release in pair) if pair else (None, None)
    if pair is None or old is None or new is None or old.name != new.name or old.topology:
        return  # of a flavor with a topology, another rule says that none of it may change
    if not is_other(step, lambda release, _: list(_in_pods(_flavor(release)))):
        return
    pairs = zip(_in_pods(old), _in_pods(new), strict=True)
    key, so = next((was[0], was[1]) for was, now in pairs if was != now)
    message = f"the models of flavor `{new.name}` restart at once, {so}"
    hint = "add another flavor, and move one model after the other"
    document = pair[1].environment.document
    has = document.has(("flavors", new.name, key))
    where = document.where("flavors", new.name, *((key,) if has else ()), key=True)
    yield Finding(message, where, hint, pair[1].model)


def _flavor(release: Release) -> Flavor | None:
    placed = release.placement
    return release.environment.flavors[placed.flavor] if placed else None


def _in_pods(flavor: Flavor | None) -> Iterator[tuple[str, str, object]]:
    """Give what of a flavor is in Pods: its key, what another value means, and the value."""
    if flavor is not None:
        yield "nodeLabels", "on the nodes of other nodeLabels", flavor.node_labels
        yield "taints", "on the nodes of other taints", flavor.tolerations
        yield "resource", "and ask for another resource", flavor.resource
        yield "dra", "and claim other devices", (flavor.device_class, flavor.selectors)
        yield "runtimeClassName", "in another runtime class", flavor.runtime_class


_DEFAULTS = BOOK.warning(
    "R031",
    "An environment's defaults are in the Pods of every model that says nothing else: a change of "
    "them restarts all of these at once.",
    evidence="kserve/kserve@pkg/controller/v1beta1/inferenceservice/components/predictor.go",
    remedy="Write it into one model first, and into the defaults once it has proven itself. The "
    "rule holds where `policy` promises replicas.",
)


@_DEFAULTS.on_step
def _other_defaults(step: Step) -> Iterator[Finding]:
    pair = both(step)
    if pair is None or not is_steady(pair[1].environment):
        return
    was, now = (r.environment.document.data.get("defaults", {}) for r in pair)
    for keys, look in _LOOKS.items():
        if _at(was, keys) != _at(now, keys) and is_other(step, look):
            document = pair[1].environment.document
            pointer = ("defaults", *keys)
            where = document.where(*(pointer if document.has(pointer) else ()), key=True)
            message = f"this default of `{keys[-1]}` restarts every model that has none of its own"
            hint = "write it into one model first, and here once it has proven itself"
            yield Finding(message, where, hint, pair[1].model)


def _at(defaults: Json, keys: tuple[str, ...]) -> object:
    return reduce(lambda block, key: block.get(key, {}), keys, defaults)


_LOOKS: dict[tuple[str, ...], Look] = {
    ("serving", "env"): lambda release, variant: variant.artifact.env,
    ("serving", "resources"): lambda release, variant: release.serving.resources,
    ("priority",): lambda release, variant: release.facts.get("priority"),
    ("spread",): lambda release, variant: release.facts.get("spread"),
    ("topology",): lambda release, variant: release.facts.get("topology"),
}
"""What of the defaults is in the Pods of models."""

_QUEUE = BOOK.error(
    "R032",
    "Kueue keeps a ClusterQueue until no Pod holds its quota, and a model that is removed runs on: "
    "the queue stays, half deleted, and admits nobody.",
    evidence="kubernetes-sigs/kueue@pkg/controller/core/clusterqueue_controller.go",
    remedy="Remove the models and what is left of them first, the queue in a later commit.",
)


@_QUEUE.on_step
def _queue_with_its_last_model(step: Step) -> Iterator[Finding]:
    before, environment = leaving(step), step.environment
    if before is None or environment is None or before.environment.argocd.cascade:
        return
    if before.queue and before.queue not in environment.queues:
        message = (
            f"queue `{before.queue}` is removed together with models whose Pods run on: Kueue "
            "keeps its ClusterQueue, half deleted, until they are gone"
        )
        hint = "put the queue back, and remove it once nothing of the models is left"
        has = environment.document.has(("queues",))
        where = environment.document.where(*(("queues",) if has else ("name",)), key=True)
        yield Finding(message, where, hint, before.model)


_DRAINED = BOOK.warning(
    "R033",
    "`stopPolicy: HoldAndDrain` takes all Pods of a queue down, those that serve included.",
    evidence="kubernetes-sigs/kueue@apis/kueue/v1beta2/clusterqueue_types.go",
    remedy="Drain a queue only once no model uses it.",
)


@_DRAINED.on_objects("ClusterQueue", "LocalQueue")
def _drained(item: Json, scene: Scene) -> Iterator[Spot]:
    known, policy = described(item, scene), item.get("spec", {}).get("stopPolicy")
    if policy == "HoldAndDrain" and (known is None or known.stop != policy):
        message = (
            f"all Pods that run by this queue in {scene.environment.name} are evicted, and none is "
            "admitted"
        )
        hint = "write `None`, unless no model uses the queue any more"
        yield Spot(message, ("spec", "stopPolicy"), hint)
