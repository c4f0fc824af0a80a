package sdk

import "encoding/json"

// What a router can do besides weights.
const (
	// HeaderRoutes are routes by header, as the step setHeaderRoute wants.
	HeaderRoutes = "header-routes"
	// MirrorRoutes are copies of requests, as the step setMirrorRoute wants.
	MirrorRoutes = "mirror-routes"
	// AdditionalDestinations are weight for more than canary and stable, as experiments want.
	AdditionalDestinations = "additional-destinations"
	// Verifies says that Verify can tell that the data plane does what is wanted.
	Verifies = "verify"
	// Affinity says that requests of one client stay with one version.
	Affinity = "affinity"
	// PingPong is two Services that take turns in being the stable one.
	PingPong = "ping-pong"
)

// Destination is where a part of the traffic goes.
type Destination struct {
	// Service is empty where the rollout names none.
	Service string
	// PodHash is the value of rollouts-pod-template-hash; empty while there is no ReplicaSet.
	PodHash string
	// Weight is in parts of the routing's TotalWeight.
	Weight uint32
}

// How says how a text is compared.
type How uint8

// The ways to compare a text; a regular expression is in the dialect of the data plane.
const (
	Exact How = iota
	Prefix
	Regex
)

// StringMatch is what a text must be.
type StringMatch struct {
	How  How
	Text string
}

// HeaderMatch is a header that must be there, and its value.
type HeaderMatch struct {
	Name  string
	Value StringMatch
}

// HeaderRoute sends what matches all headers to the canary, whatever the weights say.
type HeaderRoute struct {
	// Name is one of the routing's ManagedRoutes.
	Name    string
	Headers []HeaderMatch
}

// MirrorMatch is one way for a request to match a mirror route.
type MirrorMatch struct {
	// Method and Path are nil if they do not matter.
	Method, Path *StringMatch
	// Headers must all match.
	Headers []HeaderMatch
}

// MirrorRoute copies what fits one of its matches to the canary; answers to the copies are dropped.
type MirrorRoute struct {
	// Name is one of the routing's ManagedRoutes.
	Name    string
	Matches []MirrorMatch
	// Percentage is how many of the matching requests are copied.
	Percentage uint32
}

// Routing is all that a rollout wants, complete at every call: a route that is not in it goes, if
// its name is one of ManagedRoutes.
type Routing struct {
	// Namespace and Rollout name the rollout.
	Namespace, Rollout string
	// RolloutUID is for owner references.
	RolloutUID     string
	Stable, Canary Destination
	// Additional are those of experiments and the like.
	Additional []Destination
	// TotalWeight is what all weights add up to: 100 unless the user says otherwise.
	TotalWeight  uint32
	HeaderRoutes []HeaderRoute
	MirrorRoutes []MirrorRoute
	// ManagedRoutes are names that this rollout may make and remove routes by; earlier ones come
	// first.
	ManagedRoutes []string
	// Extensions are what later versions want, by the name of the capability; {} today.
	Extensions json.RawMessage
}

// ObjectQuery is what a router has to see.
type ObjectQuery struct {
	// APIVersion is such as networking.k8s.io/v1.
	APIVersion string
	Kind       string
	// Namespace is the rollout's if it is empty.
	Namespace string
	// Name is every object that the selector selects if it is empty.
	Name string
	// LabelSelector is in the notation of kubectl --selector; empty, it selects all.
	LabelSelector string
}

// ObjectRef is where an object of Kubernetes is.
type ObjectRef struct {
	APIVersion, Kind string
	// Namespace is empty for kinds that belong to the cluster.
	Namespace string
	Name      string
}

// Change is what is to be different: one of Put and Remove.
type Change interface{ change() }

// Put is the whole object as it should be; it is made if it is not there. The host writes the
// smallest patch.
type Put struct{ Object Object }

// Remove lets an object go.
type Remove struct{ Ref ObjectRef }

func (Put) change()    {}
func (Remove) change() {}

// Verification is one of Converged, Pending and CannotTell.
type Verification interface{ verification() }

// Converged says that the data plane does what is wanted.
type Converged struct{}

// Pending says that it does not yet, and what is missing.
type Pending struct{ Missing string }

// CannotTell says that the objects are as wanted and nothing tells more: the host waits a while.
type CannotTell struct{}

func (Converged) verification()  {}
func (Pending) verification()    {}
func (CannotTell) verification() {}

// Router is a traffic router. C is the router's part of a rollout, as [ParseConfig] reads it. It
// reads and writes nothing by itself: the host reads the objects that it asks for, and writes what
// it answers.
//
// A router may also be a [Validator].
type Router[C any] interface {
	// Capabilities are what it can do besides weights, such as [HeaderRoutes].
	Capabilities() []string
	// References are the objects that it must see. It is asked again with what was found, up to
	// four times, until it asks for nothing new.
	References(wanted Routing, config C, found []Object) ([]ObjectQuery, error)
	// Route is what has to change, in an order that is safe to stop at any point. Nothing means
	// that the objects say what is wanted.
	Route(wanted Routing, config C, objects []Object) ([]Change, error)
	// Verify is whether the data plane does what is wanted.
	Verify(wanted Routing, config C, objects []Object) (Verification, error)
	// Release takes back what is the rollout's: it is going, or uses another router from now on.
	Release(last Routing, config C, objects []Object) ([]Change, error)
}

// RouterFunctions are a router's, from JSON on. Objects are texts. The host and sdktest call them.
type RouterFunctions struct {
	Capabilities func() []string
	Validate     func(config string) error
	References   func(wanted Routing, config string, found []string) ([]ObjectQuery, error)
	Route        func(wanted Routing, config string, objects []string) ([]Change, error)
	Verify       func(wanted Routing, config string, objects []string) (Verification, error)
	Release      func(last Routing, config string, objects []string) ([]Change, error)
}

// RouterFunctionsOf are those of a router. A panic becomes an error with the code "panic".
func RouterFunctionsOf[C any](router Router[C]) RouterFunctions {
	return RouterFunctions{
		Capabilities: router.Capabilities,
		Validate: func(config string) (err error) {
			defer rescue(&err)
			_, err = open[C](router, config)
			return err
		},
		References: routing(router, router.References),
		Route:      routing(router, router.Route),
		Verify:     routing(router, router.Verify),
		Release:    routing(router, router.Release),
	}
}

func routing[C, A any](
	router Router[C], call func(Routing, C, []Object) (A, error),
) func(Routing, string, []string) (A, error) {
	return func(wanted Routing, config string, texts []string) (answer A, err error) {
		defer rescue(&err)
		read, err := open[C](router, config)
		if err != nil {
			return answer, err
		}
		objects := make([]Object, 0, len(texts))
		for _, text := range texts {
			object, err := ParseObject(text)
			if err != nil {
				return answer, err
			}
			objects = append(objects, object)
		}
		return call(wanted, read, objects)
	}
}
