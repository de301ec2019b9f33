"""Loading the encoder: the weights that were recorded and no others, once in a process."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from fa_assets.errors import UserError

if TYPE_CHECKING:
    from fa_assets.encoders.cnn14.encoder import Cnn14Encoder


@lru_cache(maxsize=1)
def load_encoder(checkpoint: Path, sha1: str, device: str, precision: str, batch_size: int | None) -> "Cnn14Encoder":
    """The encoder, loaded once in a process for the same arguments; see `Cnn14Encoder` for them.

    Raises:
        UserError: as `require_sha1` and `Cnn14Encoder`.
    """
    from fa_assets.encoders.cnn14.encoder import Cnn14Encoder

    require_sha1(checkpoint, sha1)
    return Cnn14Encoder(checkpoint, device=device, precision=precision, batch_size=batch_size)


def require_sha1(checkpoint: Path, sha1: str) -> None:
    """Embeddings are stored under the weights' sha1: a file that was replaced since must not be used under it.

    Raises:
        UserError: the file is gone or another one.
    """
    try:
        with checkpoint.open("rb") as file:
            found = hashlib.file_digest(file, "sha1").hexdigest()
    except OSError as error:
        raise UserError(
            f"The weights {checkpoint} cannot be read ({error}): materialize cnn14_checkpoint again."
        ) from error
    if found != sha1:
        raise UserError(
            f"The weights {checkpoint} changed since cnn14_checkpoint was materialized (sha1 {found}, {sha1} was recorded): "
            "materialize cnn14_checkpoint again."
        )
