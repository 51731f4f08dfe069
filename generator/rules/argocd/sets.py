"""Rules of ApplicationSets: what they make, and what becomes of it when they go."""

from __future__ import annotations

import re
from collections.abc import Iterator

from generator.documents import Json
from generator.problems import Where
from generator.rules import Book, EnvironmentStep, Finding, Scene, Spot
from generator.rules.fields import at, entries, spec

BOOK = Book("delivery")

_DELETION = "argoproj/argo-cd@docs/operator-manual/applicationset/Application-Deletion.md"
_GO = "argoproj/argo-cd@docs/operator-manual/applicationset/GoTemplate.md"
_GLOBS = "argoproj/argo-cd@docs/operator-manual/applicationset/Generators-Git-File-Globbing.md"

_SWITCHED = BOOK.error(
    "D109",
    "Whoever made the Applications until now deletes them when another takes over, and with "
    "`cascade` everything that they deployed.",
    evidence=f"{_DELETION}, argoproj/argo-cd@docs/user-guide/app_deletion.md",
    remedy="Write `cascade: false`, let that be synced, and switch in a later commit.",
)
_HANDED_OVER = BOOK.warning(
    "D110",
    "Between two makers of Applications nobody syncs; the root Application is applied by hand.",
    evidence=_DELETION,
    remedy="Apply the root Application right after the merge, and look at the models after it.",
)


@_SWITCHED.on_environment_step
def _switched_with_cascade(step: EnvironmentStep) -> Iterator[Finding]:
    was, now = step.before.argocd, step.after.argocd
    if was.application_set != now.application_set and (was.cascade or now.cascade):
        message = (
            "the Applications of all models are deleted and made anew, and their finalizers take "
            "the models with them"
        )
        hint = "write `cascade: false` first, let that be synced, and switch in a later commit"
        yield Finding(message, _place(step), hint)


@_HANDED_OVER.on_environment_step
def _switched(step: EnvironmentStep) -> Iterator[Finding]:
    was, now = step.before.argocd, step.after.argocd
    if was.application_set != now.application_set and not (was.cascade or now.cascade):
        message = "the Applications of all models are made anew; what they deployed stays"
        hint = f"right after the merge: `kubectl apply -f argocd/{step.after.name}.yaml`"
        yield Finding(message, _place(step), hint)


def _place(step: EnvironmentStep) -> Where:
    document = step.after.document
    written = document.has(("argocd", "applicationSet"))
    pointer = ("argocd", "applicationSet") if written else ("argocd",)
    return document.where(*pointer, key=not written)


@BOOK.error(
    "D112",
    "A parameter that is missing renders as `<no value>`, and all Applications get one name.",
    evidence=_GO,
    remedy='Write `goTemplate: true` and `goTemplateOptions: ["missingkey=error"]`.',
).on_objects("ApplicationSet")
def _missing_keys(item: Json, scene: Scene) -> Iterator[Spot]:
    options = spec(item).get("goTemplateOptions") or ()
    if "missingkey=error" not in options:
        message = "a parameter that is missing would be no error"
        hint = 'write `goTemplate: true` and `goTemplateOptions: ["missingkey=error"]`'
        yield Spot(message, ("spec",), hint)


@BOOK.error(
    "D113",
    "Whoever writes the files of a generator chooses the project, and with it what is allowed.",
    evidence="argoproj/argo-cd@docs/operator-manual/applicationset/Security.md",
    remedy="Write the project as it is: `{{ environment.argocd.project }}`.",
).on_objects("ApplicationSet")
def _project_of_a_parameter(item: Json, scene: Scene) -> Iterator[Spot]:
    project = str(at(item, "spec", "template", "spec", "project", default=""))
    if "{{" in project:
        pointer = ("spec", "template", "spec", "project")
        yield Spot("the project comes from a parameter", pointer, "write it as it is")


_DEEP = re.compile(r"[*?].*/")


@BOOK.error(
    "D114",
    "In a file generator `*` matches a slash too: folders of versions become Applications.",
    evidence=_GLOBS,
    remedy="Let no `/` follow a `*`, such as `argocd/<environment>/application-[a-z]*.yaml`.",
).on_objects("ApplicationSet")
def _greedy_pattern(item: Json, scene: Scene) -> Iterator[Spot]:
    for index, generator in entries(item, "spec", "generators"):
        for place, file in entries(generator, "git", "files"):
            path = str(file.get("path", ""))
            if _DEEP.search(path):
                message = f"`{path}` finds files in folders below those that are meant"
                pointer = ("spec", "generators", index, "git", "files", place, "path")
                hint = "place `{{ path }}`, which leads to the models' Applications"
                yield Spot(message, pointer, hint)


@BOOK.error(
    "D115",
    "An ApplicationSet gives its Applications a finalizer, and what it no longer finds it deletes.",
    evidence=_DELETION,
    remedy="Write `syncPolicy: {preserveResourcesOnDeletion: true}`, or `cascade: true` in the "
    "environment.",
).on_objects("ApplicationSet")
def _deletes_models(item: Json, scene: Scene) -> Iterator[Spot]:
    keeps = at(item, "spec", "syncPolicy", "preserveResourcesOnDeletion", default=False)
    if not keeps and not scene.environment.argocd.cascade:
        message = f"{scene.environment.name} says `cascade: false`, and this deletes what it made"
        yield Spot(message, ("spec",), "add `syncPolicy: {preserveResourcesOnDeletion: true}`")


_EMPTY = re.compile(r"^(spec|metadata):[ \t]*(#.*)?$(?!\n[ \t]+\S)", re.MULTILINE)


@BOOK.error(
    "D116",
    "An empty `spec:` in a patch of the template takes away all that the template has there.",
    evidence="argoproj/argo-cd#17040",
    remedy="Leave the key out where there is nothing to patch.",
).on_objects("ApplicationSet")
def _patch_that_empties(item: Json, scene: Scene) -> Iterator[Spot]:
    patch = str(spec(item).get("templatePatch") or "")
    found = _EMPTY.search(patch)
    if found:
        message = f"`{found[1]}:` is empty in the patch, which empties it in every Application"
        yield Spot(message, ("spec", "templatePatch"), "leave it out")
