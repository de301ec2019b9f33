"""The columns of the stored tables, said once: the Arrow schemas the assets write and the UI shows."""

import dagster as dg
import pyarrow as pa

VOCABULARY = pa.schema(
    [
        pa.field("position", pa.int32(), metadata={"doc": "column of the class in every label and score matrix"}),
        pa.field("class_name", pa.string(), metadata={"doc": "as in sample_submission.csv"}),
    ]
)

CLIPS = pa.schema(
    [
        pa.field("fname", pa.string(), metadata={"doc": "file name in the folder of clips"}),
        pa.field("labels", pa.list_(pa.string()), metadata={"doc": "the clip's classes"}),
        pa.field("sample_rate", pa.int32(), metadata={"doc": "of the file, Hz"}),
        pa.field("channels", pa.int32(), metadata={"doc": "of the file"}),
        pa.field("frames", pa.int64(), metadata={"doc": "samples per channel, as decoded"}),
        pa.field("seconds", pa.float64(), metadata={"doc": "frames / sample_rate"}),
        pa.field("sha256", pa.string(), metadata={"doc": "of the file's bytes"}),
    ]
)

FOLDS = pa.schema(
    [
        pa.field("fname", pa.string(), metadata={"doc": "in the order of the label CSV"}),
        pa.field("fold", pa.int8(), metadata={"doc": "the fold the clip is held out in"}),
    ]
)

CHECKPOINT = pa.schema(
    [
        pa.field("path", pa.string(), metadata={"doc": "where the weights lie"}),
        pa.field("size_bytes", pa.int64(), metadata={"doc": "of the file"}),
        pa.field("sha1", pa.string(), metadata={"doc": "of the file's bytes"}),
        pa.field("origin", pa.string(), metadata={"doc": "where the file came from"}),
        pa.field("trained", pa.bool_(), metadata={"doc": "false for the seeded demo weights"}),
    ]
)

EMBEDDINGS = pa.schema(
    [
        pa.field("fname", pa.string(), metadata={"doc": "the fold's clips, in the order of the label CSV"}),
        pa.field("embedding", pa.list_(pa.float32()), metadata={"doc": "CNN14's 2048-d embedding, mean over crops"}),
    ]
)

PREDICTIONS = pa.schema(
    [
        pa.field("fname", pa.string(), metadata={"doc": "the fold's clips, in the order of the label CSV"}),
        pa.field("class_name", pa.string(), metadata={"doc": "every class, in vocabulary order, for each clip"}),
        pa.field("truth", pa.bool_(), metadata={"doc": "whether the clip has the label"}),
        pa.field("logit", pa.float64(), metadata={"doc": "of the model fitted on the other folds"}),
        pa.field("probability", pa.float64(), metadata={"doc": "1 / (1 + exp(-logit))"}),
    ]
)

METRICS = pa.schema(
    [
        pa.field("fold", pa.int8(), metadata={"doc": "the fold the positives were held out in"}),
        pa.field("class_name", pa.string(), metadata={"doc": "every class, in vocabulary order, for each fold"}),
        pa.field("precision_sum", pa.float64(), metadata={"doc": "sum of label-ranking precisions of the positives"}),
        pa.field("count", pa.int64(), metadata={"doc": "positives; any LWLRAP is sum(precision_sum) / sum(count)"}),
        pa.field("lwlrap", pa.float64(), metadata={"doc": "precision_sum / count, null without positives"}),
    ]
)

COMPARISON = pa.schema(
    [
        pa.field("scope", pa.string(), metadata={"doc": "overall, fold or class"}),
        pa.field("name", pa.string(), metadata={"doc": "fold number or class name"}),
        pa.field("mc5", pa.float64(), metadata={"doc": "LWLRAP of the five-crop mean"}),
        pa.field("center", pa.float64(), metadata={"doc": "LWLRAP of the centre crop"}),
        pa.field("difference", pa.float64(), metadata={"doc": "mc5 - center"}),
    ]
)

FILES = pa.schema(
    [
        pa.field("path", pa.string(), metadata={"doc": "relative to the storage folder"}),
        pa.field("size_bytes", pa.int64(), metadata={"doc": "of the file"}),
        pa.field("sha256", pa.string(), metadata={"doc": "of the file's bytes"}),
    ]
)


def column_schema(schema: pa.Schema) -> dg.TableSchema:
    """An Arrow schema as Dagster shows it."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=field.name,
                type=str(field.type),
                description=(field.metadata or {}).get(b"doc", b"").decode() or None,
            )
            for field in schema
        ]
    )
