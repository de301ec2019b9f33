"""The only entry point Dagster loads: `defs`."""

from fa_assets.graph.build import build_definitions
from fa_assets.settings import load_settings

defs = build_definitions(load_settings())
