package main

import (
	"html"
	"net/url"
	"strings"
)

// links returns what the links of an HTML document refer to, resolved, of
// those that stay on its site, each once and in their order. It knows tags,
// comments and the elements whose content is no HTML; it does not build a tree.
func links(doc string, at *url.URL) []string {
	base := at
	var found []string
	seen := map[string]bool{}
	for doc != "" {
		open := strings.IndexByte(doc, '<')
		if open < 0 {
			break
		}
		doc = doc[open+1:]
		if rest, ok := strings.CutPrefix(doc, "!--"); ok {
			_, doc, _ = strings.Cut(rest, "-->")
			continue
		}
		name := tagName(doc)
		if name == "" {
			continue // an end tag, a declaration, or a < in the text
		}
		doc = doc[len(name):]
		name = strings.ToLower(name)
		ref, rest, ok := attribute(doc, reference[name])
		doc = rest
		if raw[name] {
			end := indexFold(doc, "</"+name)
			doc = doc[min(end, len(doc)):]
		}
		if !ok {
			continue
		}
		u, err := base.Parse(strings.TrimSpace(html.UnescapeString(ref)))
		if err != nil {
			continue
		}
		if name == "base" {
			base = u
			continue
		}
		if path, ok := within(u, at); ok && !seen[path] {
			seen[path] = true
			found = append(found, path)
		}
	}
	return found
}

// reference is the attribute of an element that links to another page.
var reference = map[string]string{
	"a": "href", "area": "href", "base": "href", "frame": "src", "iframe": "src",
}

// raw elements end with their end tag only.
var raw = map[string]bool{"script": true, "style": true, "textarea": true, "title": true}

// tagName returns the name that s begins with.
func tagName(s string) string {
	n := 0
	for n < len(s) && (s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z' || n > 0 && s[n] >= '0' && s[n] <= '9') {
		n++
	}
	return s[:n]
}

// attribute returns the value of the first attribute called want of a tag, and
// what follows the tag.
func attribute(s, want string) (value, rest string, ok bool) {
	const space = " \t\r\n\f"
	for {
		s = strings.TrimLeft(s, space+"/")
		if s == "" {
			return value, "", ok
		}
		if s[0] == '>' {
			return value, s[1:], ok
		}
		end := 1 // a name may begin with anything
		for end < len(s) && !strings.ContainsRune(space+"/>=", rune(s[end])) {
			end++
		}
		name := s[:end]
		s = strings.TrimLeft(s[end:], space)
		var v string
		if after, has := strings.CutPrefix(s, "="); has {
			s = strings.TrimLeft(after, space)
			switch {
			case s == "":
			case s[0] == '"' || s[0] == '\'':
				v, s, _ = strings.Cut(s[1:], s[:1])
			default:
				n := strings.IndexAny(s, space+">")
				if n < 0 {
					n = len(s)
				}
				v, s = s[:n], s[n:]
			}
		}
		if !ok && want != "" && strings.EqualFold(name, want) {
			value, ok = v, true
		}
	}
}

// indexFold returns where the first sub begins, whatever its case, and len(s)
// if there is none.
func indexFold(s, sub string) int {
	for i := 0; i+len(sub) <= len(s); i++ {
		next := strings.IndexByte(s[i:], sub[0])
		if next < 0 {
			break
		}
		if i += next; i+len(sub) <= len(s) && strings.EqualFold(s[i:i+len(sub)], sub) {
			return i
		}
	}
	return len(s)
}
