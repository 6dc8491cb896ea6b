package codec

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// jsonPlan says what the JSON text of a type needs to become Python's: where
// in it the floats are, which Go writes without a fraction if they have none,
// and which parts a json.Marshaler wrote. It is made once for a type and
// walked along with the text. A nil plan is that of unknown content.
type jsonPlan struct {
	float  bool                 // a number here is a float
	opaque bool                 // written by a method: numbers stay
	elem   *jsonPlan            // of an array's elements or an object's values
	fields map[string]*jsonPlan // of a struct's fields, by their JSON names
}

func (p *jsonPlan) element() *jsonPlan {
	if p == nil || p.opaque {
		return p
	}
	return p.elem
}

func (p *jsonPlan) field(name []byte) *jsonPlan {
	if p == nil || p.fields == nil {
		return p.element()
	}
	return p.fields[string(name)]
}

func newJSONPlan(t reflect.Type) *jsonPlan {
	b := planBuilder{seen: make(map[planKey]*jsonPlan)}
	p := b.plan(t, true)
	if !b.needed {
		return nil
	}
	return p
}

// Whether a value is addressable decides whether encoding/json finds methods
// with a pointer receiver: not in a map's values.
type planKey struct {
	t    reflect.Type
	addr bool
}

type planBuilder struct {
	seen   map[planKey]*jsonPlan // types contain themselves
	needed bool                  // a float or a method was found
}

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	jsonNumber    = reflect.TypeFor[json.Number]()
)

func has(t reflect.Type, addr bool, method reflect.Type) bool {
	return t.Implements(method) || addr && reflect.PointerTo(t).Implements(method)
}

// pointee returns what is at the end of a chain of pointers. A type that is a
// pointer to itself has no end.
func pointee(t reflect.Type) reflect.Type {
	for n := 0; t.Kind() == reflect.Pointer && n < 100; n++ {
		t = t.Elem()
	}
	return t
}

func (b *planBuilder) plan(t reflect.Type, addr bool) *jsonPlan {
	if e := pointee(t); e != t {
		t, addr = e, true
	}
	key := planKey{t, addr}
	if p, ok := b.seen[key]; ok {
		return p
	}
	p := new(jsonPlan)
	b.seen[key] = p
	switch {
	case t.Kind() == reflect.Interface:
		b.seen[key] = nil
		return nil
	case t == jsonNumber || has(t, addr, jsonMarshaler):
		p.opaque, b.needed = true, true
	case has(t, addr, textMarshaler): // a string
	default:
		b.fill(p, t, addr)
	}
	return p
}

func (b *planBuilder) fill(p *jsonPlan, t reflect.Type, addr bool) {
	switch t.Kind() {
	case reflect.Float32, reflect.Float64:
		p.float, b.needed = true, true
	case reflect.Slice:
		p.elem = b.plan(t.Elem(), true)
	case reflect.Array:
		p.elem = b.plan(t.Elem(), addr)
	case reflect.Map:
		p.elem = b.plan(t.Elem(), false)
	case reflect.Struct:
		p.fields = make(map[string]*jsonPlan)
		for name, f := range jsonFields(t) {
			p.fields[name] = b.plan(f.t, addr || f.viaPointer)
		}
	}
}

type jsonField struct {
	t          reflect.Type
	viaPointer bool // reached through an embedded pointer
	tagged     bool
	dropped    bool // ambiguous: neither is written
}

// jsonFields finds the fields that encoding/json writes for a struct, by its
// rules for embedded structs: the shallowest of a name wins, at one depth the
// tagged one, and if that leaves several, none.
func jsonFields(t reflect.Type) map[string]*jsonField {
	type level struct {
		t          reflect.Type
		viaPointer bool
	}
	found := make(map[string]*jsonField)
	visited := map[reflect.Type]bool{}
	for current := []level{{t, false}}; len(current) > 0; {
		var next []level
		here := make(map[string]*jsonField)
		for _, l := range current {
			if visited[l.t] {
				continue
			}
			visited[l.t] = true
			for i := range l.t.NumField() {
				f := l.t.Field(i)
				tag := f.Tag.Get("json")
				name, _, _ := strings.Cut(tag, ",")
				ft, ptr := f.Type, false
				if f.Anonymous && ft.Kind() == reflect.Pointer {
					ft, ptr = ft.Elem(), true
				}
				embedded := f.Anonymous && ft.Kind() == reflect.Struct
				if tag == "-" || !f.IsExported() && !embedded {
					continue
				}
				if embedded && name == "" {
					next = append(next, level{ft, l.viaPointer || ptr})
					continue
				}
				n := &jsonField{t: f.Type, viaPointer: l.viaPointer, tagged: name != ""}
				if name == "" {
					name = f.Name
				}
				merge(here, name, n)
			}
		}
		for name, f := range here {
			if found[name] == nil {
				found[name] = f
			}
		}
		current = next
	}
	for name, f := range found {
		if f.dropped {
			delete(found, name)
		}
	}
	return found
}

func merge(fields map[string]*jsonField, name string, f *jsonField) {
	switch old := fields[name]; {
	case old == nil || f.tagged && !old.tagged:
		fields[name] = f
	case old.tagged == f.tagged:
		old.dropped = true
	}
}

// noVisibleField reports whether t is a struct, or a pointer to one, whose
// fields JSON would all leave out: {} for every value. A struct without
// fields is fine; it has but one value.
func noVisibleField(t reflect.Type) bool {
	t = pointee(t)
	return t.Kind() == reflect.Struct && t.NumField() > 0 &&
		!has(t, true, jsonMarshaler) && !has(t, true, textMarshaler) &&
		len(jsonFields(t)) == 0
}
