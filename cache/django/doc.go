// Package django shares the cache of a Django site whose backend is DiskCache's
// DjangoCache. Both use one directory, at the same time, and find each other's entries:
//
//	CACHES = {"default": {"BACKEND": "diskcache.DjangoCache", "LOCATION": "/var/cache/site"}}
//
//	c, err := django.Open[string](ctx, "/var/cache/site", nil)
//
// A key is stored as Django makes it, "prefix:version:key", and entries expire after 300
// seconds unless something else is said. [Options] have what the site's settings say.
//
// # Values
//
// Text, bytes, integers and floats are the same on both sides. One cache may hold all of
// them: a directory can be opened several times, for several types, and a value that is of
// another type than the one it is read as is cache.ErrCodecMismatch. (Store.Check, which
// decodes all values as what their store has opened the cache for last, reports such ones,
// and does no more to them.) What is stored as JSON here, such as structs, is text there,
// for json.loads.
//
// Django's backend pickles the rest: also True, False, None, and SafeString, which is what
// templates render to. Pickles are never decoded here, since that can run any code:
// reading one is cache.ErrCodecMismatch, or a miss with Options.SkipUndecodable. So pages
// of cache_page can be deleted and looked for, but not read. To share other values, give
// them a cache of their own with JSONDisk, and its codecs:
//
//	"shared": {"BACKEND": "diskcache.DjangoCache", "LOCATION": "/var/cache/shared",
//	           "OPTIONS": {"disk": diskcache.JSONDisk}}
//
//	shared, err := django.Open(ctx, "/var/cache/shared", &django.Options[map[string]any]{
//		Keys:   codec.Zlib(codec.JSON[string](), 1),
//		Values: codec.Zlib(codec.JSON[map[string]any](), 1),
//	})
//
// In JSON, SafeString is text as any other: it loses its mark, and Django's templates
// escape it again unless it is marked anew. Sessions work there (SESSION_CACHE_ALIAS), and
// cache_page does not, as a response is no JSON.
package django
