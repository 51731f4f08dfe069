"""The runtimes that ship with Kubeflow Trainer: their framework, their steps, their own GPUs.

Source: kubeflow/trainer@manifests/base/runtimes. Kueue admits all steps of a job at once, so that
each counts (kubernetes-sigs/kueue@pkg/controller/jobs/trainjob/trainjob_controller.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from generator.values.minors import Minor

Framework = Literal["torch", "torchtune", "mpi", "jax", "xgboost"]

DEFAULT = "torch-distributed"

NODE, LAUNCHER = "node", "launcher"
DATASET, MODEL = "dataset-initializer", "model-initializer"
"""Jobs and containers within a runtime; Trainer knows them by these names
(kubeflow/trainer@pkg/constants/constants.go)."""


class TrainingRuntime(Struct, frozen=True):
    """One runtime: the jobs that it consists of, and what it asks for where a run says nothing.

    `accelerators` are of `nvidia.com/gpu` on each node. A runtime with a `recipe` needs no command.
    """

    name: str
    framework: Framework
    jobs: tuple[str, ...] = (NODE,)
    accelerators: int = 0
    since: Minor = (2, 0)

    @property
    def has_recipe(self) -> bool:
        """Say whether the runtime knows itself what to run."""
        return self.framework == "torchtune"

    @property
    def initializers(self) -> tuple[str, ...]:
        """The steps before the training."""
        return tuple(job for job in self.jobs if job in STEPS)


STEPS = frozenset((DATASET, MODEL))
"""What runs before the training; a spec says nothing of its size."""

_STEPS = (DATASET, MODEL, NODE)
_MPI = (LAUNCHER, NODE)

SHIPPED = (
    TrainingRuntime("torch-distributed", "torch"),
    TrainingRuntime("torch-distributed-with-cache", "torch", (DATASET, NODE), since=(2, 1)),
    TrainingRuntime("deepspeed-distributed", "mpi", _MPI),
    TrainingRuntime("mlx-distributed", "mpi", _MPI),
    TrainingRuntime("jax-distributed", "jax", since=(2, 2)),
    TrainingRuntime("xgboost-distributed", "xgboost", since=(2, 2)),
    TrainingRuntime("torchtune-llama3.2-1b", "torchtune", _STEPS, accelerators=2),
    TrainingRuntime("torchtune-llama3.2-3b", "torchtune", _STEPS, accelerators=2),
    TrainingRuntime("torchtune-qwen2.5-1.5b", "torchtune", _STEPS, accelerators=2, since=(2, 1)),
)

BY_NAME: Mapping[str, TrainingRuntime] = MappingProxyType({each.name: each for each in SHIPPED})

TORCHTUNE = ["tune", "run"]
"""The command by which Trainer recognises a run of torchtune, whose recipe it then chooses by
accelerators and arguments (kubeflow/trainer@pkg/runtime/framework/plugins/torch/torchtune.go)."""

_RESERVED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "torch": frozenset(
            {"PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", "PET_MASTER_ADDR"}
            | {"PET_MASTER_PORT"}
        ),
        "mpi": frozenset(
            {"OMPI_MCA_orte_default_hostfile", "OMPI_MCA_plm_rsh_args"}
            | {"OMPI_MCA_orte_keep_fqdn_hostnames"}
        ),
    }
)
"""Variables that Trainer sets itself, and its webhook refuses in a job
(kubeflow/trainer@pkg/constants/constants.go)."""


def reserved(framework: str) -> frozenset[str]:
    """Name the variables of a framework that are Trainer's."""
    return _RESERVED.get(framework, frozenset())


IMMUTABLE = ("output_dir", "tokenizer.path", "tokenizer.merges_file", "checkpointer.checkpoint_dir")
"""Settings of torchtune that the runtime alone decides; Trainer's webhook refuses them."""

_LABEL, _SUFFIX = 63, "-abcde"


def longest_name(runtime: TrainingRuntime, nodes: int) -> int:
    """Say how long a job's name may be, so that its Pods' names fit.

    A Pod is `<name>-<job>-<replica>-<index>-<five characters>`, at most 63
    (kubernetes-sigs/jobset@pkg/webhooks/jobset_webhook.go).
    """
    most = max(len(_pod(job, nodes if job == NODE else 1)) for job in runtime.jobs)
    return _LABEL - most


def _pod(job: str, nodes: int) -> str:
    return f"-{job}-0-{nodes - 1}{_SUFFIX}"
