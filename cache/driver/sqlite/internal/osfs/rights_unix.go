//go:build unix

package osfs

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// rights are owner, group and mode of what is made.
type rights struct {
	uid, gid int    // -1: as the system gives them
	file     uint32 // of a file; those of a folder follow from it
}

var defaultRights = rights{uid: -1, gid: -1, file: 0o600}

// rightsOf returns those of a file.
func rightsOf(info Info) rights {
	return rights{uid: int(info.st.Uid), gid: int(info.st.Gid), file: uint32(info.st.Mode) & 0o666}
}

// rightsIn returns those of the first file in a directory.
func rightsIn(info Info) rights {
	r := rights{uid: int(info.st.Uid), gid: -1, file: 0o600}
	setgid := uint32(info.st.Mode)&unix.S_ISGID != 0
	if setgid || os.Geteuid() == 0 {
		r.gid = int(info.st.Gid)
	}
	if setgid && uint32(info.st.Mode)&0o020 != 0 {
		r.file = 0o660
	}
	return r
}

// folder returns the mode of a folder: users who may read it may enter it.
func (r rights) folder() uint32 { return r.file | r.file&0o444>>2 }

// give gives them to a new file, or folder, as far as this process may.
func (r rights) give(fd int, mode uint32) error {
	info, err := fdInfo(fd)
	if err != nil {
		return err
	}
	uid, gid := r.owner(info)
	if uid >= 0 || gid >= 0 {
		err := retryInterrupted(func() error { return unix.Fchown(fd, uid, gid) })
		if gid >= 0 && err != nil { // not in that group: then it is not for the group either
			mode &= 0o707
		}
	}
	if have := uint32(info.st.Mode); have&0o777 != mode {
		return retryInterrupted(func() error { return unix.Fchmod(fd, mode|have&unix.S_ISGID) })
	}
	return nil
}

// giveFolder is give for a new folder.
func (r rights) giveFolder(dir int, base string) error {
	var info Info
	if err := retryInterrupted(func() error { return unix.Fstatat(dir, base, &info.st, unix.AT_SYMLINK_NOFOLLOW) }); err != nil {
		return err
	}
	if uid, gid := r.owner(info); uid < 0 && gid < 0 && uint32(info.st.Mode)&0o777 == r.folder() {
		return nil
	}
	fd, err := openAt(dir, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return r.give(fd, r.folder())
}

// owner returns the user and the group that a new file is to be given to, each -1 if the file
// belongs to it already or this process may not say so.
func (r rights) owner(info Info) (uid, gid int) {
	uid, gid = -1, -1
	if r.uid >= 0 && r.uid != int(info.st.Uid) && os.Geteuid() == 0 {
		uid = r.uid
	}
	if r.gid >= 0 && r.gid != int(info.st.Gid) {
		gid = r.gid
	}
	return uid, gid
}

// vouch fails if a shared file was made by a user who is not trusted.
func (d *Dir) vouch(info Info) error {
	if n := info.Links(); n > 1 {
		return fmt.Errorf("it has %d names, and may be a file of something else: remove it: %w", n, ErrNotRegular)
	}
	return d.trusts(info)
}

// trusts fails if a file or a folder belongs to a user who is not trusted.
func (d *Dir) trusts(info Info) error {
	uid := int(info.st.Uid)
	if uid == os.Geteuid() || uid == d.rights.uid {
		return nil
	}
	if d.rights.file&0o060 == 0o060 && int(info.st.Gid) == d.rights.gid {
		var dir Info
		err := retryInterrupted(func() error { return unix.Fstat(int(d.handle), &dir.st) })
		if err == nil && uint32(dir.st.Mode)&0o002 == 0 {
			return nil
		}
	}
	return fmt.Errorf("it %w (number %d), who could read or change what it is for: remove it, or share the store with a group, by a directory with the set-group-ID bit", ErrOwner, uid)
}

func (r rights) outsiders(dir Info) string {
	mode := uint32(dir.st.Mode)
	euid := os.Geteuid()
	switch uid := int(dir.st.Uid); {
	case mode&0o002 != 0:
		return "everybody"
	case uid != 0 && uid != euid && mode&0o200 != 0:
		return fmt.Sprintf("user %d", uid)
	case mode&0o020 != 0 && r.file&0o060 != 0o060 && int(dir.st.Gid) != os.Getegid():
		return fmt.Sprintf("group %d", dir.st.Gid)
	}
	return ""
}
