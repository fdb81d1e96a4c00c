/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reservations through the kernel's SG_IO (linux/Documentation/scsi/scsi-generic.rst), which
 * block devices of SCSI disks take as they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <scsi/sg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "mdclusterd/fence/pr.h"
#include "mdclusterd/fence/pr_job.h"

enum { COMMAND_MS = 10000 };

static int fd_of(const void *owner)
{
	return (int)(intptr_t)owner;
}

static int command(void *owner, const uint8_t cdb[PR_CDB_BYTES], void *data, size_t length,
		   bool is_out, struct pr_answer *answer)
{
	uint8_t sense[PR_SENSE_BYTES] = { 0 };
	struct sg_io_hdr h = {
		.interface_id = 'S',
		.dxfer_direction = is_out ? SG_DXFER_TO_DEV : SG_DXFER_FROM_DEV,
		.cmd_len = PR_CDB_BYTES,
		.mx_sb_len = sizeof(sense),
		.dxfer_len = (unsigned int)length,
		.dxferp = data,
		.cmdp = (uint8_t *)(uintptr_t)cdb,
		.sbp = sense,
		.timeout = COMMAND_MS,
	};

	if (ioctl(fd_of(owner), SG_IO, &h) < 0)
		return errno == ENOTTY || errno == EINVAL ? -EOPNOTSUPP : -errno;
	if (h.host_status != 0)
		return -EIO;
	answer->status = h.status;
	answer->sense = pr_read_sense(sense, h.sb_len_wr);
	answer->length = h.resid > 0 && (size_t)h.resid <= length ? length - (size_t)h.resid
								  : length;
	return 0;
}

static const struct pr_ops ops = { command };

static int sg_open(const char *path, struct pr_disk *disk, struct err *err)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || (!S_ISBLK(st.st_mode) && !S_ISCHR(st.st_mode))) {
		close(fd);
		return err_set(err, -EOPNOTSUPP, "%s: is no SCSI disk: it has no reservations", path);
	}
	*disk = (struct pr_disk){ &ops, (void *)(intptr_t)fd, path };
	return 0;
}

static void sg_close(struct pr_disk *disk)
{
	close(fd_of(disk->owner));
}

const struct pr_transport pr_transport_sg = { sg_open, sg_close };
