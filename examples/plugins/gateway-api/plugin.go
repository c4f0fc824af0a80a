// The plugin routes with HTTPRoutes of the Gateway API, whatever gateway implements them.
package main

import (
	"fmt"
	"strings"

	"sluice.dev/sdk"
)

const (
	apiVersion = "gateway.networking.k8s.io/v1"
	kind       = "HTTPRoute"
)

// Config is what a user writes under the plugin's name in a rollout's trafficRouting.plugins.
type Config struct {
	// HTTPRoute is the name of the route, in the rollout's namespace.
	HTTPRoute string `json:"httpRoute"`
}

// Plugin is the router.
type Plugin struct{}

// Capabilities are what it can do besides weights. A gateway says that it accepted a route and not
// that traffic follows it, so verifying is not among them.
func (Plugin) Capabilities() []string { return []string{sdk.HeaderRoutes} }

// Validate checks what the type cannot say.
func (Plugin) Validate(config Config) error {
	if config.HTTPRoute == "" {
		return wrong("must be the name of an %s", kind)
	}
	return nil
}

// References are the objects that it must see.
func (Plugin) References(_ sdk.Routing, config Config, _ []sdk.Object) ([]sdk.ObjectQuery, error) {
	return []sdk.ObjectQuery{{APIVersion: apiVersion, Kind: kind, Name: config.HTTPRoute}}, nil
}

// Route is what has to change.
func (Plugin) Route(wanted sdk.Routing, config Config, objects []sdk.Object) ([]sdk.Change, error) {
	if len(objects) == 0 {
		return nil, wrong("there is no %s %s", kind, config.HTTPRoute)
	}
	changed := objects[0].Clone()
	shared, others := sorted(changed.List("spec", "rules"), wanted)
	if len(shared) == 0 {
		return nil, wrong("no rule of %s %s has both %s and %s as backends",
			kind, config.HTTPRoute, wanted.Stable.Service, wanted.Canary.Service)
	}
	for _, rule := range shared {
		backend(rule, wanted.Stable.Service).Set(wanted.Stable.Weight, "weight")
		backend(rule, wanted.Canary.Service).Set(wanted.Canary.Weight, "weight")
	}
	rules, err := byHeader(wanted, shared)
	if err != nil {
		return nil, err
	}
	changed.Set(append(rules, others...), "spec", "rules")
	return sdk.Update(objects[0], changed), nil
}

// sorted is the rules that have both versions as backends, and all that are not the rollout's own
// routes, in their order.
func sorted(rules []sdk.Object, wanted sdk.Routing) (shared, others []sdk.Object) {
	for _, rule := range rules {
		if isManaged(rule.Text("name"), wanted) {
			continue
		}
		others = append(others, rule)
		if backend(rule, wanted.Stable.Service) != nil && backend(rule, wanted.Canary.Service) != nil {
			shared = append(shared, rule)
		}
	}
	return shared, others
}

// ruleName is the name of the rule that a route by header has for one of the shared rules. Rules
// have names of their own, so the rollout's are told from the user's by theirs.
func ruleName(route string, index int) string {
	if index == 0 {
		return route
	}
	return fmt.Sprintf("%s-%d", route, index+1)
}

func isManaged(name string, wanted sdk.Routing) bool {
	for _, route := range wanted.ManagedRoutes {
		number, numbered := strings.CutPrefix(name, route+"-")
		if name == route || numbered && number != "" && strings.Trim(number, "0123456789") == "" {
			return true
		}
	}
	return false
}

// byHeader is the rules of the routes by header: each shared rule again, for requests that have the
// headers as well, with the canary alone behind it. The API has the match with more headers win, so
// a rule by header comes before the one that it was made of wherever both stand; among themselves
// the earlier of ManagedRoutes wins.
func byHeader(wanted sdk.Routing, shared []sdk.Object) ([]sdk.Object, error) {
	var rules []sdk.Object
	for _, name := range wanted.ManagedRoutes {
		for _, route := range wanted.HeaderRoutes {
			if route.Name != name {
				continue
			}
			headers, err := headersOf(route)
			if err != nil {
				return nil, err
			}
			for index, rule := range shared {
				made := rule.Clone()
				canary := backend(made, wanted.Canary.Service)
				canary.Set(1, "weight")
				made.Set(ruleName(name, index), "name")
				made.Set([]any{canary}, "backendRefs")
				made.Set(matchesWith(made, headers), "matches")
				rules = append(rules, made)
			}
		}
	}
	return rules, nil
}

// matchesWith is a rule's matches with headers added to each. A rule without any matches all, which
// is one match that says nothing.
func matchesWith(rule sdk.Object, headers []any) []sdk.Object {
	matches := rule.List("matches")
	if len(matches) == 0 {
		matches = []sdk.Object{{}}
	}
	for _, match := range matches {
		own, _ := match.At("headers").([]any)
		match.Set(append(append([]any{}, headers...), own...), "headers")
	}
	return matches
}

func headersOf(route sdk.HeaderRoute) ([]any, error) {
	var headers []any
	for _, header := range route.Headers {
		match := sdk.Object{"name": header.Name, "value": header.Value.Text}
		switch header.Value.How {
		case sdk.Exact:
			match["type"] = "Exact"
		case sdk.Regex:
			match["type"] = "RegularExpression"
		case sdk.Prefix:
			// Which dialect a gateway speaks is its own choice, so nothing can be escaped safely.
			return nil, &sdk.InvalidConfig{Message: fmt.Sprintf(
				"setHeaderRoute %s: the Gateway API has no prefixes of headers; write %s as a regex",
				route.Name, header.Name)}
		}
		headers = append(headers, match)
	}
	return headers, nil
}

// backend is the backend of a rule that leads to a Service, or nil.
func backend(rule sdk.Object, service string) sdk.Object {
	for _, backend := range rule.List("backendRefs") {
		other := backend.Text("kind") != "" && backend.Text("kind") != "Service"
		if !other && service != "" && backend.Text("name") == service {
			return backend
		}
	}
	return nil
}

// Verify is whether the gateways that speak of the route have accepted it as it is.
func (p Plugin) Verify(wanted sdk.Routing, config Config, objects []sdk.Object) (sdk.Verification, error) {
	changes, err := p.Route(wanted, config, objects)
	if err != nil {
		return nil, err
	}
	if len(changes) > 0 {
		return sdk.Pending{Missing: fmt.Sprintf("%s %s is not as wanted", kind, config.HTTPRoute)}, nil
	}
	// Where no gateway says anything at all, as in a simulation, there is nobody to wait for.
	for _, parent := range objects[0].List("status", "parents") {
		if missing := unaccepted(parent, objects[0].At("metadata", "generation")); missing != "" {
			return sdk.Pending{Missing: missing}, nil
		}
	}
	return sdk.CannotTell{}, nil
}

// unaccepted says why a gateway has not accepted a generation of the route, if it has not.
func unaccepted(parent sdk.Object, generation any) string {
	gateway := "the gateway " + parent.Text("parentRef", "name")
	for _, condition := range parent.List("conditions") {
		if condition.Text("type") != "Accepted" {
			continue
		}
		switch {
		case condition.At("observedGeneration") != generation:
			return gateway + " has not read the route yet"
		case condition.Text("status") != "True":
			return gateway + " does not accept the route: " + condition.Text("message")
		default:
			return ""
		}
	}
	return gateway + " has not accepted the route yet"
}

// Release leaves everything with the stable version, and no rule of the rollout's.
func (p Plugin) Release(last sdk.Routing, config Config, objects []sdk.Object) ([]sdk.Change, error) {
	// A route that is gone has nothing of the rollout's left in it.
	if len(objects) == 0 {
		return nil, nil
	}
	last.HeaderRoutes = nil
	last.Stable.Weight, last.Canary.Weight = last.TotalWeight, 0
	return p.Route(last, config, objects)
}

func wrong(format string, args ...any) error {
	return &sdk.InvalidConfig{Message: "httpRoute: " + fmt.Sprintf(format, args...)}
}

func init() { sdk.ExportRouter(Plugin{}) }

func main() {}
