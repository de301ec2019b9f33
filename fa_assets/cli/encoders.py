"""`fa-assets encoders`: list the encoders, and check one."""

import math
import os
import sys
from typing import Any

import click

from fa_assets.cli.options import Commands, apply_options, say, setting_options
from fa_assets.errors import UserError
from fa_assets.settings import variable_of


@click.group("encoders", invoke_without_command=True, cls=Commands)
@click.pass_context
def encoders_group(context: click.Context) -> None:
    """List the encoders: installed or what to install, rate, window, dimension, size, licences, training data."""
    if context.invoked_subcommand is not None:
        return
    from fa_assets.cli import tables
    from fa_assets.encoders.base import EncoderDefinition, EncoderFamily
    from fa_assets.encoders.registry import encoder_entries, find_entry

    found: dict[str, EncoderDefinition | EncoderFamily | str] = {}
    for name in sorted(encoder_entries()):
        try:
            found[name] = find_entry(name)
        except UserError as error:
            found[name] = str(error)
    say(tables.encoders(found), styled=True)


@encoders_group.command("check")
@click.argument("name")
@setting_options("storage", "checkpoint", "max_weights_gb", "device", "precision")
def encoders_check_command(name: str, **options: Any) -> None:
    """Try encoder NAME on silence, full scale, noise, one sample, short and long clips; exit with 1 on a breach.

    Without --checkpoint it takes the demo weights where the encoder has such.
    """
    os.environ.pop(variable_of("encoders"), None)
    settings = apply_options({**options, "encoder": name})
    from fa_assets.cli import tables
    from fa_assets.encoders.base import require_installed
    from fa_assets.encoders.registry import find_encoder
    from fa_assets.encoders.trial import try_encoder
    from fa_assets.encoders.weights import resolve_weights

    definition = find_encoder(name)
    require_installed(definition.card)
    definition.require_precision(settings.precision)
    source = settings.checkpoint_source if settings.checkpoint else definition.default_weights(demo_set=True)
    weights = resolve_weights(definition, source, settings.local_root / "checkpoints", limits=settings.limits)
    encoder = definition.load(
        weights.path, device=settings.device, precision=settings.precision, batch_size=settings.batch_size
    )
    say(tables.encoders({name: definition}), styled=True)
    trial = try_encoder(encoder)
    for finding in trial.findings:
        say(f"{'BREACH' if finding.breach else 'ok':>6}  {finding.what}" + f": {finding.breach}" * bool(finding.breach))
    if not math.isnan(trial.seconds_per_clip):
        say(f"{trial.seconds_per_clip:.3g} s a clip of {definition.card.crop_seconds:g} s, on {encoder.device_name}")
    if not trial.passed:
        say(f"{name} cannot be used as it is.")
        sys.exit(1)
    say(f"{name} passed every check.")
