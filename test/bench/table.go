package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
)

// row is one result. Where the reference is zero, which is so for what must not happen at all, the ratio is our figure.
type row struct {
	Name          string   `json:"name"`
	Unit          string   `json:"unit"`
	Ours          float64  `json:"ours"`
	Reference     float64  `json:"reference"`
	ReferenceName string   `json:"reference_name"`
	Ratio         float64  `json:"ratio"`
	Aim           *float64 `json:"aim"` // of the ratio; null where a row is there to be read beside another
	Better        string   `json:"better"`
}

// lower and higher make a row; the word says which way is better.
func lower(name, unit string, ours, reference float64, referenceName string) row {
	return compared(row{Name: name, Unit: unit, Ours: ours, Reference: reference, ReferenceName: referenceName, Better: "lower"})
}

func higher(name, unit string, ours, reference float64, referenceName string) row {
	return compared(row{Name: name, Unit: unit, Ours: ours, Reference: reference, ReferenceName: referenceName, Better: "higher"})
}

func compared(r row) row {
	if r.Ratio = r.Ours; r.Reference != 0 {
		r.Ratio = r.Ours / r.Reference
	}
	r.Ours, r.Reference, r.Ratio = round(r.Ours), round(r.Reference), round(r.Ratio)
	return r
}

// round keeps four digits: there is no truth in more.
func round(f float64) float64 {
	if f == 0 {
		return 0
	}
	unit := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(f))))
	return math.Round(f*unit) / unit
}

func (r row) aim(ratio float64) row {
	r.Aim = &ratio
	return r
}

func (r row) verdict() string {
	switch {
	case r.Aim == nil:
		return ""
	case r.Better == "higher" && r.Ratio >= *r.Aim, r.Better == "lower" && r.Ratio <= *r.Aim:
		return "met"
	}
	return "missed"
}

func (r row) aimWords() string {
	switch {
	case r.Aim == nil:
		return ""
	case r.Better == "higher":
		return "≥ " + number(*r.Aim)
	}
	return "≤ " + number(*r.Aim)
}

// show writes the table for people.
func show(out io.Writer, rows []row, loadBefore, loadAfter string) {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "measurement\tours\treference\tratio\taim\t\tunit\tthe reference is")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			r.Name, number(r.Ours), number(r.Reference), number(r.Ratio), r.aimWords(), r.verdict(), r.Unit, r.ReferenceName)
	}
	_ = t.Flush() // whoever reads it has gone
	fmt.Fprintf(out, "%s, %d processors, %s; load average %s before and %s after\n", runtime.GOARCH, runtime.NumCPU(), runtime.Version(), loadBefore, loadAfter)
}

// number is written the way its size makes it readable.
func number(f float64) string {
	switch size := math.Abs(f); {
	case f == math.Trunc(f) && size < 1e9:
		return fmt.Sprintf("%.0f", f)
	case size >= 100:
		return fmt.Sprintf("%.0f", f)
	case size >= 10:
		return fmt.Sprintf("%.1f", f)
	case size >= 0.1:
		return fmt.Sprintf("%.2f", f)
	}
	return fmt.Sprintf("%.4f", f)
}

// write writes the rows for programs.
func write(path string, rows []row) error {
	if rows == nil {
		rows = []row{}
	}
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the rows: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the rows: %w", err)
	}
	return nil
}

// loadAverage is how busy the machine is: the mean number of programs that want to run, over 1, 5 and 15 minutes.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
