package planfile

import "encoding/json"

// Tree is a file as a JSON Schema validator sees it: as YAML, without any rule of ours.
func Tree(data []byte) any {
	var m mistakes
	v := read("conveyor.yml", data, &m)
	if v == nil {
		panic(m.found)
	}
	return tree(v)
}

func tree(v *value) any {
	switch v.kind {
	case text:
		return v.word
	case number:
		return json.Number(v.word)
	case flag:
		return v.word == "true" || v.word == "True"
	case list:
		all := []any{}
		for _, item := range v.items {
			all = append(all, tree(item))
		}
		return all
	case mapping:
		all := map[string]any{}
		for _, f := range v.fields {
			all[f.key] = tree(f.value)
		}
		return all
	}
	return nil
}
