"""The JSON Schema of configs, for editors: completion, documentation and errors while typing."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from ..registry import Component, ComponentType, Kind, Registry
from .schema import Config


def json_schema(registry: Registry) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of config files, components in all three ways of writing."""
    schema = Config.model_json_schema()
    schema["$schema"] = GenerateJsonSchema.schema_dialect
    schema["title"] = "minidl config"
    schema["required"].remove("name")
    definitions = schema.setdefault("$defs", {})
    for kind, types in registry.types.items():
        definitions[kind] = {"anyOf": [form for known in types.values() for form in _forms(known)]}
    resolved: dict[str, Any] = _resolve(schema)
    return resolved


def _forms(known: ComponentType) -> list[dict[str, Any]]:
    """The ways of writing one component: its name, its name and first argument, its name and arguments."""
    arguments = known.arguments.model_json_schema()
    arguments.pop("description", None)
    for name, meaning in known.argument_meanings.items():
        arguments["properties"][name]["description"] = meaning
    inner = [arguments]
    if known.first_argument:
        inner.insert(0, arguments["properties"][known.first_argument])
    if not arguments.get("required"):
        inner.append({"type": "null"})
    mapping = {
        "type": "object",
        "properties": {known.name: {"anyOf": inner}},
        "required": [known.name],
        "additionalProperties": False,
        "description": known.summary,
    }
    if arguments.get("required"):
        return [mapping]
    return [{"const": known.name, "description": known.summary}, mapping]


def _resolve(schema: Any) -> Any:
    """Replace the marks that stand for components by references to their definitions."""
    if isinstance(schema, list):
        return [_resolve(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _resolve(value) for key, value in schema.items() if key != Kind.JSON_SCHEMA_KEY}
    if Kind.JSON_SCHEMA_KEY in schema:
        if "default" in schema:
            kept["default"] = Component(**schema["default"]).spelled_out()
        kept["$ref"] = f"#/$defs/{schema[Kind.JSON_SCHEMA_KEY]}"
    return kept
