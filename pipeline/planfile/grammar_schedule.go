package planfile

import (
	"fmt"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline/planfile/cron"
)

func scheduleRule() *rule {
	const says = "write minute, hour, day, month and weekday, as crontab has them: 0 3 * * 1-5"
	return &rule{
		about: "Start a run of the default branch at these times. It counts in the default branch's file only.", example: `[{"cron": "0 3 * * 1-5", "timezone": "Europe/Paris"}]`,
		kind: list, least: 1, most: 10, hint: `write for example schedule: [{cron: "0 3 * * *"}]`,
		item: &rule{
			about: "One schedule.", example: `{"cron": "0 3 * * *"}`, kind: mapping, hint: `write for example - {cron: "0 3 * * *"}`, keys: []key{
				{name: "cron", needed: true, missing: `say when, for example cron: "0 3 * * *"`, rule: &rule{
					about: "Minute, hour, day of the month, month and weekday, as crontab has them.", example: `"0 3 * * 1-5"`,
					kind: text, words: &wording{longest: 200, says: says, check: func(word string) (message, hint string) {
						if strings.TrimSpace(word) == "" {
							return "is empty", says
						}
						if err := cron.Check(word, ""); err != nil {
							return fmt.Sprintf("cannot be %s: %v", quote(word), err), says
						}
						return "", ""
					}},
				}},
				{name: "timezone", rule: &rule{
					about: "The time zone of the hours, UTC when left out.", example: `"Europe/Paris"`, kind: text, words: &wording{longest: 64, says: "write a name of the time zone database, for example Europe/Paris",
						check: func(word string) (message, hint string) {
							if err := cron.CheckZone(word); err != nil {
								return fmt.Sprintf("cannot be %s: %v", quote(word), err), "write a name of the time zone database, for example Europe/Paris or UTC"
							}
							return "", ""
						}},
				}},
			},
		},
	}
}
