package planfile

import (
	"encoding/json"
	"fmt"
)

// Schema is the JSON Schema (2020-12) of the pipeline file, for editors; schema.json is the same, to read and to
// publish. It knows the form of the file. What must be unique or must exist elsewhere, only Parse knows.
func Schema() []byte {
	top := grammar().schema()
	top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	top["title"] = "Conveyor pipeline file"
	out, err := json.MarshalIndent(top, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("planfile: an example of the grammar is not JSON: %v", err))
	}
	return append(out, '\n')
}

func (r *rule) schema() map[string]any {
	s := map[string]any{}
	if r.or != nil {
		s["anyOf"] = []any{r.formSchema(), r.or.formSchema()}
	} else {
		s = r.formSchema()
	}
	s["description"] = r.about
	s["examples"] = []any{json.RawMessage(r.example)}
	return s
}

func (r *rule) formSchema() map[string]any {
	switch r.kind {
	case text:
		return r.words.schema(r.scalar)
	case number:
		return bounds(map[string]any{"type": "integer"}, "minimum", "maximum", r)
	case flag:
		return map[string]any{"type": "boolean"}
	case list:
		return bounds(map[string]any{"type": "array", "items": r.item.schema()}, "minItems", "maxItems", r)
	}
	properties, needed := map[string]any{}, []string{}
	for _, k := range r.keys {
		properties[k.name] = k.rule.schema()
		if k.needed {
			needed = append(needed, k.name)
		}
	}
	s := bounds(map[string]any{"type": "object", "additionalProperties": false}, "minProperties", "maxProperties", r)
	var either []any
	for _, name := range r.either {
		either = append(either, map[string]any{"required": []string{name}})
	}
	if len(either) > 0 {
		s["oneOf"] = either
	}
	if len(properties) > 0 {
		s["properties"] = properties
	}
	if len(needed) > 0 {
		s["required"] = needed
	}
	if r.rest != nil {
		s["additionalProperties"] = r.rest.schema()
		s["propertyNames"] = r.names.schema(false)
	}
	return s
}

func (w *wording) schema(scalar bool) map[string]any {
	if len(w.oneOf) > 0 {
		return map[string]any{"enum": w.oneOf}
	}
	s := map[string]any{"type": "string", "maxLength": w.limit()}
	if scalar {
		s["type"] = []string{"string", "number", "boolean"}
	}
	if w.needsText() {
		s["minLength"] = 1
	}
	if w.pattern != "" {
		s["pattern"] = w.pattern
	}
	if w.never != "" {
		s["not"] = map[string]any{"pattern": w.never}
	}
	return s
}

func bounds(s map[string]any, least, most string, r *rule) map[string]any {
	if r.least > 0 {
		s[least] = r.least
	}
	if r.most > 0 {
		s[most] = r.most
	}
	return s
}
