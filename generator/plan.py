"""Stage 4: which files there are, from which template, with which context.

A file exists because it stands here, never because a template came out empty. Lists of resources
and patches are derived from the files themselves, so that none is forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache, lru_cache

from generator import lineage
from generator.aspects import registry as aspects
from generator.aspects.contract import Kind, Piece
from generator.backends import registry as backends
from generator.documents import Json
from generator.files import ARGOCD, RENDERED, Extra, PlannedFile
from generator.inventory import namespaces
from generator.inventory.records import ArgoCD, Environment
from generator.problems import GenError, Problem, Where
from generator.records import APART, Autoscaler, Release, Variant

KUSTOMIZATION = "kustomization.yaml"

_SCALE_METRICS = {
    "cpu": "cpu",
    "memory": "memory",
    "concurrency": "concurrency",
    "requests-per-second": "rps",
}
"""KServe's own words for the metrics (kserve/kserve@pkg/apis/serving/v1beta1/component.go)."""

_AUTOSCALER_ANNOTATIONS = {
    "kpa": {"autoscaling.knative.dev/class": "kpa.autoscaling.knative.dev"},
    "knative-hpa": {"autoscaling.knative.dev/class": "hpa.autoscaling.knative.dev"},
    "kserve-hpa": {"serving.kserve.io/autoscalerClass": "hpa"},
    "keda": {"serving.kserve.io/autoscalerClass": "external"},
    "none": {"serving.kserve.io/autoscalerClass": "none"},
}

SYNC_RETRY: Json = {
    "limit": 5,
    "refresh": True,
    "backoff": {"duration": "10s", "factor": 2, "maxDuration": "3m"},
}
"""`refresh` lets a revert replace the commit that a retry would try again (Argo CD 3.2)."""


def base_path(model: str) -> str:
    """Return the folder of a model's Kustomize base."""
    return f"{RENDERED}/_base/{model}"


def overlay_path(environment: str, model: str) -> str:
    """Return the folder of a model's Kustomize overlay."""
    return f"{RENDERED}/{environment}/{model}"


def platform_path(environment: str) -> str:
    """Return the folder of what an environment itself consists of."""
    return f"{RENDERED}/{environment}/_platform"


def applications_path(environment: str) -> str:
    """Return the folder that the root Application of an environment syncs."""
    return f"{ARGOCD}/{environment}"


def base(release: Release) -> list[PlannedFile]:
    """Plan the base of a model: only what cannot differ between environments, if anything."""
    if not backends.of_release(release).has_base:
        return []
    folder = _Folder(base_path(release.model), release.document.path, _context(release))
    for name in backends.of_release(release).base(release):
        folder.add(name, f"base/{name}.j2")
    return folder.closed("base/kustomization.yaml.j2")


def overlay(release: Release, digest: str, extras: Collection[Extra] = ()) -> list[PlannedFile]:
    """Plan the overlay of a release.

    `digest` is of the base's files, `extras` are the own templates of what no built-in one makes.
    """
    path = overlay_path(release.environment.name, release.model)
    namespace, backend = release.environment.namespace, backends.of_release(release)
    comments = (f"base sha256:{digest}",) if backend.has_base else ()
    folder = _Folder(path, release.document.path, _context(release), comments=comments)
    if not backend.has_base:
        folder.context["mirror"] = [_mirror(release.shadow)] if release.shadow else []
        folder.add_pieces(backend.whole(release))
        _shared(folder, release, extras)
        return folder.closed(_OVERLAY, namespace=namespace)
    if release.strategy not in APART:
        _workload(folder, release, _described(release))
        for name in backend.shared(release):
            folder.add(name, f"overlay/{name}.j2")
        _shared(folder, release, extras)
        return folder.closed(_OVERLAY, namespace=namespace, below=base_path(release.model))
    files: list[PlannedFile] = []
    for variant in release.in_order:
        version = _Folder(f"{path}/{variant.artifact.version}", folder.producer, folder.context)
        _workload(version, release, variant)
        suffix = f"-{variant.artifact.version}"
        files += version.closed(_OVERLAY, name_suffix=suffix, below=base_path(release.model))
        folder.resources.append(variant.artifact.version)
    if release.strategy == "route":
        extra = {"mirror": [_mirror(release.shadow)]} if release.shadow else None
        folder.add("http-route.yaml", "overlay/http-route.yaml.j2", extra)
    _shared(folder, release, extras)
    return [*folder.closed(_OVERLAY, namespace=namespace), *files]


_OVERLAY = "overlay/kustomization.yaml.j2"


def _described(release: Release) -> Variant:
    """Find the variant that one InferenceService describes: in Knative mode, the canary if any.

    There the stable version is the revision before it.
    """
    newest = release.canary if release.strategy == "knative" else None
    return newest or release.stable


def _mirror(shadow: Variant) -> Json:
    """Write the filter that copies requests.

    A part of them is copied since Gateway API 1.3, so that all of them are without a percentage
    (kubernetes-sigs/gateway-api@geps/gep-3171).
    """
    backend = {"group": "", "kind": "Service", "name": shadow.service, "port": shadow.port}
    part = {"percent": shadow.mirrored} if shadow.mirrored < 100 else {}
    return {"type": "RequestMirror", "requestMirror": {"backendRef": backend, **part}}


def _context(release: Release) -> Json:
    shared = {"release": release, "serving": release.serving, "environment": release.environment}
    return {**shared, **release.facts} if release.facts else shared


def _workload(folder: _Folder, release: Release, variant: Variant) -> None:
    """Plan the patches of one workload, one concern each, and its autoscaler."""
    backend = backends.of_release(release)
    own = {"variant": variant, "selector": backend.selector(release, variant)}
    folder.context = {**folder.context, **own, **_kserve_facts(release, variant)}
    for concern in backend.concerns(release, variant):
        folder.patch(f"patch-{concern}.yaml", f"overlay/{backend.folder}/patch-{concern}.yaml.j2")
    if variant.scaling.autoscaler == "keda":
        folder.add("scaled-object.yaml", "overlay/scaled-object.yaml.j2")
    if variant.scaling.autoscaler == "hpa":
        folder.add("horizontal-pod-autoscaler.yaml", "overlay/horizontal-pod-autoscaler.yaml.j2")
    folder.add_pieces(aspects.files_of(release, variant))


def _kserve_facts(release: Release, variant: Variant) -> Json:
    """Say what KServe is told of the mode and the metric.

    It is told the metric only where it scales: beside KEDA it would be a second owner.
    """
    owner = variant.scaling.autoscaler
    is_kserves = owner in ("kpa", "knative-hpa", "kserve-hpa")
    mode, own = _mode_annotations(release.environment.mode, owner), variant.scaling.annotations
    return {
        "mode_annotations": {**mode, **own} if own else mode,
        "scale_metric": _SCALE_METRICS[variant.scaling.metric] if is_kserves else "",
    }


@cache
def _mode_annotations(mode: str, owner: Autoscaler) -> Json:
    """Name mode and autoscaler: what KServe does without a word depends on the cluster."""
    return {"serving.kserve.io/deploymentMode": mode, **_AUTOSCALER_ANNOTATIONS.get(owner, {})}


def _shared(folder: _Folder, release: Release, extras: Collection[Extra]) -> None:
    """Plan what all versions of a release use."""
    folder.add_extras(extras)
    folder.add_pieces(aspects.files(release))
    if release.placement and release.placement.claim:
        name = "resource-claim-template.yaml"
        folder.add(name, f"overlay/{name}.j2")
    if release.serving.service_account:
        secrets = [{"name": name} for name in release.serving.service_account_secrets]
        pull = [{"name": name} for name in release.serving.pull_secrets]
        extra = {"service_account_secrets": secrets, "pull_secrets": pull}
        folder.add("service-account.yaml", "overlay/service-account.yaml.j2", extra)


def application(release: Release) -> PlannedFile:
    """Plan the Argo CD Application of a release."""
    environment = release.environment.name
    return PlannedFile(
        path=f"{applications_path(environment)}/application-{release.model}.yaml",
        template="argocd/application-model.yaml.j2",
        context={
            **_context(release),
            "path": overlay_path(environment, release.model),
            "base": base_path(release.model),
            "sync_policy": _models_policy(release.environment.argocd),
            "subscriptions": _subscriptions(release.environment.argocd, release.owner),
            "lineage": _lineage(release),
        },
        producer=release.document.path,
    )


def _models_policy(argocd: ArgoCD) -> Json:
    """Say how models sync: a difference that is ignored is left alone by the sync too."""
    respect = ("RespectIgnoreDifferences=true",) if argocd.ignored else ()
    return _sync_policy("ApplyOutOfSyncOnly=true", *respect, argocd=argocd)


def _subscriptions(argocd: ArgoCD, owner: str) -> Mapping[str, str]:
    """List the annotations that subscribe the owner; everybody else is subscribed by projects."""
    return argocd.subscriptions_of.get(owner, {})


def _lineage(release: Release) -> list[Json]:
    """Say where each live version came from.

    It stands in the Application: whatever KServe finds on an InferenceService it passes on to the
    Pods, which restart (kserve/kserve#3710), and a route is not in every environment.
    """
    return [
        {"name": f"{variant.artifact.version} {what}".strip(), "value": text}
        for variant in release.in_order
        for what, text in lineage.joined(variant.artifact.source)
    ]


def platform(environment: Environment, extras: Collection[Extra] = ()) -> list[PlannedFile]:
    """Plan what an environment itself consists of: namespace, flavors, cohorts and queues."""
    folder = _Folder(
        platform_path(environment.name), environment.document.path, {"environment": environment}
    )
    labels = list(namespaces.pod_security(environment.document).items())
    folder.add("namespace.yaml", "platform/namespace.yaml.j2", {"pod_security": labels})
    if environment.kueue:
        for flavor in environment.flavors.values():
            path = f"resource-flavor-{flavor.name}.yaml"
            folder.add(path, "platform/resource-flavor.yaml.j2", {"flavor": flavor})
    for cohort in environment.cohorts.values():
        folder.add(f"cohort-{cohort.name}.yaml", "platform/cohort.yaml.j2", {"cohort": cohort})
    for queue in environment.queues.values():
        context = {"queue": queue, "queue_namespace": environment.namespace}
        for kind in ("cluster-queue", "local-queue"):
            folder.add(f"{kind}-{queue.name}.yaml", f"platform/{kind}.yaml.j2", context)
    folder.add_pieces(aspects.platform(environment))
    folder.add_extras(extras)
    return folder.closed("platform/kustomization.yaml.j2")


def delivery(
    environment: Environment,
    overlay_extras: Collection[Extra] = (),
    platform_extras: Collection[Extra] = (),
) -> list[PlannedFile]:
    """Plan how Argo CD finds an environment: root Application, projects, the platform's own.

    The projects allow the kinds of the extras too.
    """
    folder = applications_path(environment.name)
    kinds = _allowed(environment, overlay_extras, platform_extras)
    planned = (
        (f"{folder}.yaml", "application-root", folder),
        (f"{folder}/app-project-models.yaml", "app-project-models", ""),
        (f"{folder}/app-project-platform.yaml", "app-project-platform", ""),
        (
            f"{folder}/application-_platform.yaml",
            "application-platform",
            platform_path(environment.name),
        ),
        *_application_set(environment, folder),
    )
    return [
        PlannedFile(
            path=path,
            template=f"argocd/{template}.yaml.j2",
            context={
                "environment": environment,
                "path": source,
                **kinds.get(template, {}),
                "subscriptions": environment.argocd.subscriptions,
                "sync_policy": _delivery_policy(template, environment.argocd),
            },
            producer=environment.document.path,
        )
        for path, template, source in planned
    ]


def _application_set(environment: Environment, folder: str) -> Iterator[tuple[str, str, str]]:
    """Plan what makes Applications of the files that are Applications otherwise.

    The pattern means the same to the former globbing, which lets `*` match a slash, and to the new
    one (argoproj/argo-cd@docs/operator-manual/applicationset/Generators-Git-File-Globbing.md).
    """
    if environment.argocd.application_set:
        yield f"{folder}/applicationset.yaml", "application-set", f"{folder}/{_OF_MODELS}"


_OF_MODELS = "application-[a-z]*.yaml"
"""The files of models: the platform's own Application begins with `_`, which no model may."""


def _delivery_policy(template: str, argocd: ArgoCD) -> Json:
    if template == "application-set":
        return _models_policy(argocd)
    server_side = ("ServerSideApply=true",) if "platform" in template else ()
    return _sync_policy(*server_side, argocd=argocd)


def _allowed(
    environment: Environment, overlay_extras: Iterable[Extra], platform_extras: Iterable[Extra]
) -> dict[str, Json]:
    """Say which kinds each AppProject allows, by its template: gen's own and those of extras."""
    return {
        "app-project-models": {
            "kinds": _model_kinds(environment),
            "extra_kinds": _distinct(*map(_kind, overlay_extras)),
        },
        "app-project-platform": {
            **_platform_kinds(environment),
            "extra_kinds": _distinct(*map(_kind, platform_extras)),
        },
    }


def _model_kinds(environment: Environment) -> list[Json]:
    """List what gen may render for a model: an AppProject allows nothing else."""
    of_backends = (kind for each in backends.BACKENDS for kind in each.kinds(environment))
    of_aspects = (kind for each in aspects.ASPECTS for kind in each.kinds(environment))
    shared = [Kind("", "ServiceAccount")]
    if environment.gateway:
        shared.append(Kind("gateway.networking.k8s.io", "HTTPRoute"))
    if environment.keda:
        shared.append(Kind("keda.sh", "ScaledObject"))
    if any(flavor.device_class for flavor in environment.flavors.values()):
        shared.append(Kind("resource.k8s.io", "ResourceClaimTemplate"))
    return _distinct(*of_backends, *shared, *of_aspects)


def _platform_kinds(environment: Environment) -> Json:
    """List what gen may render for an environment, beside what every environment has."""
    known = aspects.ASPECTS
    namespaced = (kind for each in known for kind in each.platform_kinds(environment))
    cluster = (kind for each in known for kind in each.cluster_kinds(environment))
    others = (name for each in known for name in each.platform_namespaces(environment))
    return {
        "kinds": _distinct(*namespaced),
        "cluster_kinds": _distinct(*cluster),
        "namespaces": list(dict.fromkeys(others)),
    }


def _kind(extra: Extra) -> Kind:
    return Kind(extra.group, extra.kind)


def _distinct(*kinds: Kind) -> list[Json]:
    """List kinds as an AppProject does, each once."""
    return [{"group": group, "kind": kind} for group, kind in dict.fromkeys(kinds)]


def _sync_policy(*options: str, argocd: ArgoCD) -> Json:
    """Say how an Application syncs."""
    return _policy(*options, auto_sync=argocd.auto_sync, refreshes=argocd.refreshes)


@cache
def _policy(*options: str, auto_sync: bool, refreshes: bool) -> Json:
    """Write a policy; all that sync alike share one."""
    retry = {key: value for key, value in SYNC_RETRY.items() if key != "refresh"}
    automated = {"prune": True, "selfHeal": True, "allowEmpty": False}
    return {
        **({"automated": automated} if auto_sync else {}),
        "retry": SYNC_RETRY if refreshes else retry,
        "syncOptions": [*options, "FailOnSharedResource=true"],
    }


@lru_cache(1024)
def _resources(*names: str) -> list[str]:
    """List resources as a kustomization does; many folders have the same ones."""
    return [*names]


@cache
def _patches(*names: str) -> list[Json]:
    """List patches as a kustomization does; most workloads have the same ones."""
    return [{"path": name} for name in names]


class _Folder:
    """Collects the files of one kustomization, and the lists that it needs of them.

    All files share one context, so that it is put together once.
    """

    def __init__(
        self, path: str, producer: str, context: Json, comments: tuple[str, ...] = ()
    ) -> None:
        self.path = path
        self.producer = producer
        self.context = context
        self.comments = comments
        self.resources: list[str] = []
        self.patches: list[str] = []
        self._files: list[tuple[str, str, Json]] = []

    def add(self, name: str, template: str, extra: Json | None = None) -> None:
        """Plan a resource; `extra` is for its template alone."""
        self._files.append((name, template, extra or {}))
        self.resources.append(name)

    def add_pieces(self, pieces: Iterable[Piece]) -> None:
        """Plan what aspects add."""
        for piece in pieces:
            self.add(piece.name, piece.template, piece.context)

    def add_extras(self, extras: Iterable[Extra]) -> None:
        """Plan what own templates add, each file called like its template."""
        for extra in extras:
            self.add(extra.template.rpartition("/")[2].removesuffix(".j2"), extra.template)

    def patch(self, name: str, template: str) -> None:
        """Plan a patch; it finds its target by kind and name."""
        self._files.append((name, template, {}))
        self.patches.append(name)

    def closed(
        self, template: str, *, namespace: str = "", name_suffix: str = "", below: str = ""
    ) -> list[PlannedFile]:
        """Plan the kustomization itself and return all files; `below` is the base it builds on."""
        bases = (_relative(below, self.path),) if below else ()
        context: Json = {
            **self.context,
            "resources": _resources(*bases, *self.resources),
            "patches": _patches(*self.patches),
            "namespace": namespace,
            "name_suffix": name_suffix,
        }
        path, producer = self.path, self.producer
        kustomization = f"{path}/{KUSTOMIZATION}"
        return [
            PlannedFile(kustomization, template, context, producer, self.comments),
            *(
                PlannedFile(
                    f"{path}/{name}", own, {**context, **extra} if extra else context, producer
                )
                for name, own, extra in self._files
            ),
        ]


def _relative(target: str, start: str) -> str:
    """Lead from one folder of the rendered tree to another, as a kustomization writes it."""
    return "../" * start.count("/") + target.removeprefix(f"{RENDERED}/")


def write_once(files: list[PlannedFile]) -> list[PlannedFile]:
    """Return the files as they are if no path is planned twice.

    Raises GenError that names both templates. Folders belong to one subject each, so that two
    subjects cannot meet.
    """
    if len({file.path for file in files}) == len(files):
        return files
    known: dict[str, PlannedFile] = {}
    problems: list[Problem] = []
    for file in files:
        other = known.setdefault(file.path, file)
        if other is not file:
            message = f"{file.path} would be written from {other.template} and {file.template}"
            problems.append(Problem("E401", message, Where(file.producer)))
    raise GenError(problems)
