"""What each problem code means, and what to do about it.

The first digit is the stage that finds the problem. Rules (`generator/rules`) carry their own code
and evidence. The reference of problems is made of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CODES: Mapping[str, str] = MappingProxyType(
    {
        "E101": (
            "The file or folder is there and cannot be read: look at its permissions and at what "
            "the operating system says."
        ),
        "E102": (
            "The file cannot be taken as a text of this repository: save it as UTF-8, and put the "
            "file itself where a link leads out of the tree."
        ),
        "E103": (
            "The text is not YAML, or uses a part of it that is refused here, such as a key "
            "written twice, a tag or a merge key: write plain mappings, lists and values."
        ),
        "E104": (
            "The document is empty or not a mapping of keys: start it with `name:` and what the "
            "schema asks for."
        ),
        "E105": (
            "There are no models or no environments to read: create the folder and a file in it, "
            "or name the right repository with `--root`."
        ),
        "E106": (
            "Something in models/ or environments/ looks like a document and is never read: keep "
            "the folders flat and let every file end in `.yaml`."
        ),
        "E201": (
            "The key is unknown here, or is not allowed as a name: take the suggestion, or look "
            "the block up in the reference."
        ),
        "E202": "A key that the document needs is missing: add it beside the others of its block.",
        "E203": (
            "The value has another type than its key asks for: quote what has to be a text, such "
            'as `"1.35"`, and unquote what has to be a number.'
        ),
        "E204": (
            "The value has the right type and is not allowed: it is out of range, not one of the "
            "choices, or not of the form that the message describes."
        ),
        "E205": "File and document disagree on the name: make `name` what the file is called.",
        "E301": (
            "The environment, version, queue or flavor that is named does not exist: name one "
            "that does, or add it where it belongs."
        ),
        "E302": (
            "Something that the setting relies on is missing, or the environment cannot do what "
            "is asked for: add what the message names, or ask for less."
        ),
        "E303": (
            "Two settings contradict each other, or one has no effect where it stands: change the "
            "one that the message points at, or remove it."
        ),
        "E306": (
            "A silence of a rule that finds nothing: remove it, so that the rule is heard when it "
            "has something to say."
        ),
        "E401": "Two documents would write the same file: rename one of them.",
        "E501": (
            "The template cannot be read as a template: correct the Jinja on that line, or put "
            "the missing file where the message says."
        ),
        "E502": (
            "The template uses a name that its context does not have: the reference of templates "
            "lists what there is."
        ),
        "E503": (
            "What the template gives is not one Kubernetes object with a value in every slot: "
            "correct the template, whose line is named where that is possible."
        ),
        "E504": (
            "An own template has a path that no built-in one has, so nothing would ever use it: "
            "correct the path, or start the name with `_` if other templates include it."
        ),
        "E601": (
            "`kustomize build` would not make what is meant of this folder, or gen cannot say "
            "exactly what it would make: change the template so that the base and the overlay "
            "fit together."
        ),
        "E602": (
            "No schema describes this kind, so nothing could be checked: correct apiVersion and "
            "kind, or add a schema of the kind under schemas/."
        ),
        "E603": (
            "The object breaks the schema of its kind, so the cluster would refuse it or drop "
            "what is unknown: correct the template, or the value that it places."
        ),
        "E604": (
            "Two documents make the same object of one cluster, and Argo CD would let them "
            "overwrite each other: rename one of them."
        ),
        "E605": (
            "A file in the repository's own schemas/ is no JSON Schema of the kind that it is "
            "named for: mend it, or remove it."
        ),
        "E701": (
            "The disk refuses to be written: look at permissions and free space, then run again; "
            "every file is either as it was or as it should be."
        ),
        "E702": (
            "Something that gen did not write stands where it would write: move it away, or "
            "delete it if it is old output whose first line was changed."
        ),
        "E703": (
            "A path leaves the folders that gen owns, directly or through a link: make the folder "
            "a real one below rendered/ or argocd/."
        ),
        "E704": (
            "A file that gen did not write stands in a folder that Argo CD applies whole: move it "
            "to a folder and an Application of its own, or delete it."
        ),
        "E801": (
            "A command asks for a promotion or a rollback that what is live does not allow: the "
            "hint names the command that comes first."
        ),
        "E802": (
            "The file says what is to be changed in a way that gen cannot edit without touching "
            "something else, such as by an anchor: write the lines of the hint by hand."
        ),
    }
)
"""One sentence per code; a test compares the codes with those that the stages use."""
