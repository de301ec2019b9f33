"""The unlabelled clips of a storage folder that are most worth labelling, from the values of its last run."""

import numpy as np

from fa_assets.encoders.registry import key_prefix
from fa_assets.errors import UserError
from fa_assets.metrics.next_clips import margins, next_clips
from fa_assets.models.classifier_file import load_final
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.roots import StoragePath
from fa_assets.store.values import ValueStore

COLUMNS = ("rank", "fname", "margin", "unsure_of", "probability", "most_probable")


def clips_to_label(root: StoragePath, count: int) -> list[tuple[int, str, float, str, float, str]]:
    """The clips to label next, in `COLUMNS`: their margin (see `margins`), the class that the model is least sure of, its
    probability, and the most probable class.

    Raises:
        UserError: there are no unlabelled clips, or no final classifier.
    """
    values = ValueStore(root)
    clips = values.read("test_clips").table
    unlabelled = [row for row, labels in enumerate(clips["labels"].to_pylist()) if labels is None]
    if not unlabelled:
        raise UserError(
            "There are no clips without labels: put them into test/ of the dataset folder, and run `fa-assets run --select "
            "+final_classifier,+test_embeddings`."
        )
    final = load_final(root / "classifiers")
    others = final.blend.encoders[1:] if final.blend else ()
    embedded = [values.read(f"{prefix}test_embeddings").table for prefix in ("", *map(key_prefix, others))]
    if any(one["fname"].to_pylist() != clips["fname"].to_pylist() for one in embedded):
        raise UserError("test_embeddings are of other clips than test_clips: `fa-assets run` makes them again.")
    vectors = [embedding_matrix(one["embedding"])[unlabelled] for one in embedded]
    probabilities = final.probabilities(vectors)
    margin = margins(probabilities)
    classes = final.members[0].classes
    found = []
    for rank, row in enumerate(next_clips(probabilities, vectors[0], count), start=1):
        own = probabilities[row]
        unsure = int(np.abs(2 * own - 1).argmin())
        names = clips["fname"][unlabelled[row]].as_py(), classes[unsure], classes[int(own.argmax())]
        found.append((rank, names[0], float(margin[row]), names[1], float(own[unsure]), names[2]))
    return found
