// Package export_sluice_metric_provider is what the generated exports call. The SDK puts the
// author's provider behind it, which it cannot import itself without a circle.
package export_sluice_metric_provider

import (
	witTypes "go.bytecodealliance.org/pkg/wit/types"

	"sluice.dev/sdk/internal/wit/sluice_metric_provider"
	"sluice.dev/sdk/internal/wit/sluice_plugin_types"
)

// Answer is a measurement or why there is none.
type Answer = witTypes.Result[sluice_metric_provider.Measurement, sluice_plugin_types.PluginError]

// Done is nothing or why it could not be done.
type Done = witTypes.Result[witTypes.Unit, sluice_plugin_types.PluginError]

// Functions are those of a provider.
type Functions struct {
	Validate  func(config string) Done
	Run       func(ctx sluice_metric_provider.MetricContext) Answer
	Resume    func(ctx sluice_metric_provider.MetricContext, token string) Answer
	Terminate func(ctx sluice_metric_provider.MetricContext, token string) Done
}

// Provider is the component's provider.
var Provider Functions

// Validate is called by the host.
func Validate(config string) Done { return Provider.Validate(config) }

// Run is called by the host.
func Run(ctx sluice_metric_provider.MetricContext) Answer { return Provider.Run(ctx) }

// Resume is called by the host.
func Resume(ctx sluice_metric_provider.MetricContext, token string) Answer {
	return Provider.Resume(ctx, token)
}

// Terminate is called by the host.
func Terminate(ctx sluice_metric_provider.MetricContext, token string) Done {
	return Provider.Terminate(ctx, token)
}
