package app

import "fmt"

// secretsFinding opens the store of secrets as a step's server does. Where there is none, there is nothing to say.
func secretsFinding(c Config) []Finding {
	all, err := Secrets(c).List()
	switch {
	case err != nil:
		return []Finding{{
			Name: "Secrets", Level: Failed, Says: "The store cannot be opened: " + lower(err),
			Fix: "Put the key back where it was, or name it with `CONVEYOR_SECRETS_KEY_FILE`. Until then, every step that needs a secret fails.",
		}}
	case len(all) == 0:
		return nil
	case c.SecretsKeyFile == "":
		return []Finding{{
			Name: "Secrets", Level: Warning, Says: fmt.Sprintf("%d are kept, and their key lies beside them in the data folder.", len(all)),
			Fix: "Move `secrets/key.txt` out of the data folder, best to another disk, and name it with `CONVEYOR_SECRETS_KEY_FILE`.",
		}}
	}
	return []Finding{{Name: "Secrets", Level: OK, Says: fmt.Sprintf("%d are kept, and their key lies elsewhere.", len(all))}}
}
