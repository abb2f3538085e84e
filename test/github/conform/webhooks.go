package conform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// hooks are the schemas of webhook payloads, compiled as they are needed.
var hooks = sync.OnceValues(func() (*hookSchemas, error) {
	text, err := unpack("openapi-webhooks-subset.json")
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("conform: read the webhook schemas: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	// The library's own check refuses GitHub's {/other_user}.
	c.RegisterFormat(&jsonschema.Format{Name: "uri-template", Validate: func(any) error { return nil }})
	// It refuses the [bot] in the address of every App, too.
	c.RegisterFormat(&jsonschema.Format{Name: "email", Validate: func(v any) error {
		if text, isText := v.(string); isText && strings.Count(text, "@") != 1 {
			return fmt.Errorf("%q is not an address", text)
		}
		return nil
	}})
	c.AssertFormat()
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, fmt.Errorf("conform: read the webhook schemas: %w", err)
	}
	return &hookSchemas{compiler: c}, nil
})

// schemaURL only names the document; nothing is fetched.
const schemaURL = "https://webhooks.invalid/schemas.json"

type hookSchemas struct {
	mu       sync.Mutex
	compiler *jsonschema.Compiler
}

// Payload tells what is wrong with the payload of a webhook; nil means that
// it satisfies GitHub's schema for its event and action.
func Payload(event string, payload []byte) error {
	all, err := hooks()
	if err != nil {
		return err
	}
	var head struct {
		Action string `json:"action"`
	}
	if err := json.Unmarshal(payload, &head); err != nil {
		return fmt.Errorf("conform: %s: %w", event, err)
	}
	name := "webhook-" + strings.ReplaceAll(event, "_", "-")
	if head.Action != "" {
		name += "-" + strings.ReplaceAll(head.Action, "_", "-")
	}
	all.mu.Lock()
	schema, err := all.compiler.Compile(schemaURL + "#/components/schemas/" + name)
	all.mu.Unlock()
	if err != nil {
		return fmt.Errorf("conform: there is no schema %s: %w", name, err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	if err != nil {
		return fmt.Errorf("conform: %s: %w", name, err)
	}
	if err := schema.Validate(v); err != nil {
		return fmt.Errorf("conform: %s: %w", name, err)
	}
	return nil
}

// Webhook checks a payload and remembers what is wrong with it.
func (k *Checker) Webhook(event string, payload []byte) {
	if err := Payload(event, payload); err != nil {
		k.looked(err.Error())
		return
	}
	k.looked()
}
