package planfile

import (
	"errors"
	"fmt"

	"github.com/conveyor-ci/conveyor/pipeline/image"
)

// imageName checks what an image is called. Whether there is one is asked when the step starts.
func imageName(text string) (message, hint string) {
	_, err := image.Parse(text)
	if m, ok := errors.AsType[*image.Mistake](err); ok {
		return fmt.Sprintf("cannot be %s: it %s", quote(text), m.Message), m.Hint
	}
	return "", ""
}
