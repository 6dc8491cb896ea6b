package osfs

import "golang.org/x/sys/unix"

// The magic numbers of statfs(2) of file systems that several machines can
// have mounted at once.
var networkMagic = map[uint32]string{
	0x6969:     "NFS",
	0x517b:     "SMB",
	0xff534d42: "CIFS",
	0xfe534d42: "SMB2",
	0x01021997: "9P",
	0x5346414f: "AFS",
	0x6b414653: "AFS",
	0x73757245: "Coda",
	0x00c36400: "Ceph",
	0x0bd00bd0: "Lustre",
	0x47504653: "GPFS",
	0x01161970: "GFS2",
	0x7461636f: "OCFS2",
	0x19830326: "BeeGFS",
}

func (h handle) network(string) (string, error) {
	var st unix.Statfs_t
	err := again(func() error { return unix.Fstatfs(int(h), &st) })
	return networkMagic[uint32(st.Type)], err
}

func (h handle) space() (free, total int64, err error) {
	var st unix.Statfs_t
	err = again(func() error { return unix.Fstatfs(int(h), &st) })
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), err
}
