//! The JSON Schema of the file, for editors and other programs.

use serde_json::{Map, Value, json};

use super::fields::{LONGEST_TEXT, MOST_ROWS, OBJECTS, SPEC, SpecObject, SpecShape};

/// The schema (draft 2020-12), made from the table of fields. What rows say of each other it cannot hold.
pub fn schema() -> Value {
    let defs: Map<_, _> = OBJECTS.iter().map(|object| (key(object), of_object(object))).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "o11y-lab verify --spec",
        "description": "What telemetry has to arrive.",
        "$ref": format!("#/$defs/{}", key(&SPEC)),
        "$defs": defs,
    })
}

fn key(object: &SpecObject) -> String {
    object.name.replace(' ', "-")
}

fn of_object(object: &SpecObject) -> Value {
    let properties: Map<_, _> = object
        .fields
        .iter()
        .map(|field| {
            let mut shape = of_shape(&field.shape);
            shape["description"] = field.help.replace('`', "").into();
            (field.name.to_owned(), shape)
        })
        .collect();
    let required: Vec<_> =
        object.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false, "minProperties": 1});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn of_shape(shape: &SpecShape) -> Value {
    match shape {
        SpecShape::Text => json!({"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}),
        SpecShape::Flag => json!({"type": "boolean"}),
        SpecShape::Whole => json!({"type": "integer", "minimum": 0}),
        SpecShape::Number => json!({"type": "number"}),
        SpecShape::Word(words) => json!({"enum": words}),
        SpecShape::Pattern => {
            json!({"type": "string", "format": "regex", "minLength": 1, "maxLength": LONGEST_TEXT})
        }
        SpecShape::Literal => json!({"type": ["string", "number", "boolean", "array"]}),
        SpecShape::List(shape) => {
            json!({"type": "array", "minItems": 1, "maxItems": MOST_ROWS, "items": of_shape(shape)})
        }
        SpecShape::Map(shape) => {
            json!({"type": "object", "maxProperties": MOST_ROWS, "additionalProperties": of_shape(shape)})
        }
        SpecShape::Object(object) => json!({"$ref": format!("#/$defs/{}", key(object))}),
        SpecShape::Or(short, object) => {
            json!({"anyOf": [of_shape(short), of_shape(&SpecShape::Object(object))]})
        }
    }
}
