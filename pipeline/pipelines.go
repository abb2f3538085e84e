package pipeline

import "strings"

// Path is the file that the plan stands in.
func (p Plan) Path() string {
	if p.File != "" {
		return p.File
	}
	return PlanPath
}

// Called is the pipeline's name for people and for checks. That of PlanPath is called after the App, as it always was.
func (p Plan) Called() string { return Called(p.Name) }

// Called is what people call a pipeline.
func Called(name string) string {
	if name == "" {
		return DefaultPipeline
	}
	return name
}

// PipelineNamed is the pipeline that people call so.
func PipelineNamed(called string) string {
	if called == DefaultPipeline {
		return ""
	}
	return called
}

// PipelineOfCheck is the pipeline that a check's name speaks of.
func PipelineOfCheck(check string) string {
	called, _, _ := strings.Cut(check, " / ")
	return PipelineNamed(called)
}
