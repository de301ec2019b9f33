"""What is asked of a Ray cluster, and what of it is used."""

from dataclasses import dataclass

from fa_assets.errors import UserError

_CPU_SHARE = {"actor": 0.75, "decode": 0.25}
"""Without GPUs: the parts of one CPU, so that each CPU has a decoder and an actor; decoding takes far less of it."""


@dataclass(frozen=True)
class RayOptions:
    """What the engine asks of a cluster; None is chosen by what the cluster has.

    Attributes:
        address: see `connected`.
        actor_gpus, actor_cpus: of each actor, that is of each copy of the network.
        decode_cpus: of each decoding task.
        min_actors, max_actors: the bounds of the pool, which grows and shrinks between them.
    """

    address: str | None = None
    actor_gpus: float | None = None
    actor_cpus: float | None = None
    decode_cpus: float | None = None
    min_actors: int = 1
    max_actors: int | None = None


@dataclass(frozen=True)
class Share:
    """What of the cluster is used, see `RayOptions`; and how many tasks decode at once, None for as many as it has room for."""

    actor_gpus: float
    actor_cpus: float
    decode_cpus: float
    min_actors: int
    max_actors: int
    decoders: int | None


def share_of(options: RayOptions, device: str, cpus: float, gpus: float) -> Share:
    """What to use of a cluster with so many CPUs and GPUs.

    Raises:
        UserError: the cluster has not what one actor and one decoder need.
    """
    on_gpu = gpus > 0 and device != "cpu"
    actor_gpus = options.actor_gpus if options.actor_gpus is not None else float(on_gpu or device == "cuda")
    actor_cpus = options.actor_cpus or (1.0 if actor_gpus else _CPU_SHARE["actor"])
    decode_cpus = options.decode_cpus or (1.0 if actor_gpus else _CPU_SHARE["decode"])
    if actor_gpus > gpus or actor_cpus + decode_cpus > cpus:
        raise UserError(
            f"The Ray cluster has {cpus:g} CPUs and {gpus:g} GPUs, and an actor and a decoder need "
            f"{actor_cpus + decode_cpus:g} and {actor_gpus:g}: add nodes, or set FA_RAY_ACTOR_CPUS, FA_RAY_ACTOR_GPUS, "
            "FA_RAY_DECODE_CPUS or FA_DEVICE=cpu."
        )
    fit = int(gpus / actor_gpus if actor_gpus else cpus / (actor_cpus + decode_cpus))
    most = options.max_actors or max(1, fit)
    # On CPUs one decoder is more than an actor can follow, and each one more is a process that imports everything.
    decoders = None if actor_gpus or options.decode_cpus else most
    return Share(actor_gpus, actor_cpus, decode_cpus, min(options.min_actors, most), most, decoders)
