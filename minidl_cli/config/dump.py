"""Writing a config, so that reading it gives the same values back."""

import math
import re
from typing import Any

import yaml

# Quotes are left out only where every YAML version reads a plain word.
_PLAIN_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./ -]*[A-Za-z0-9_]|[A-Za-z]")
_YAML_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN_WORD.fullmatch(text) and text.lower() not in _YAML_WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _represent_text)


def to_yaml(value: Any) -> str:
    """Return the YAML text of plain data (mappings, lists, text, numbers), innermost collections on one line."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


def inline(value: Any) -> str:
    """Return the YAML text of plain data on one line, as it stands behind a key or in a list."""
    text = yaml.dump(
        [value], Dumper=_Dumper, sort_keys=False, default_flow_style=True, width=math.inf, allow_unicode=True
    )
    return text.strip().removeprefix("[").removesuffix("]")
