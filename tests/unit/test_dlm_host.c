/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a host lacks for the kernel's DLM, and who has a lockspace: by files of a made up host. */
#include "tests/unit/help.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lockres/dlm_dump.h"
#include "lockres/dlm_host.h"

#define UUID "6f2b1c9e-0d5a-4a55-9d0e-000000000001"

struct host {
	char root[64];
};

static void put(const struct host *h, const char *path, const char *text)
{
	char full[512];
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", h->root, path);
	for (char *at = full + strlen(h->root) + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		(void)mkdir(full, 0700);
		*at = '/';
	}
	if (full[strlen(full) - 1] == '/')
		return; /* a folder alone */
	file = fopen(full, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void drop(const struct host *h, const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", h->root, path);
	assert_int_equal(remove(full), 0);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st;
	(void)flag;
	(void)at;
	return remove(path);
}

/* All is well, and nobody has a lockspace. As in /proc of a Debian 12. */
static int setup(void **state)
{
	struct host *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	strcpy(h->root, "/tmp/test-dlm-host-XXXXXX");
	assert_non_null(mkdtemp(h->root));
	put(h, "/sys/kernel/dlm/", "");
	put(h, "/sys/kernel/config/dlm/cluster/spaces/", "");
	put(h, "/proc/misc", "122 dlm_plock\n123 dlm-monitor\n124 dlm-control\n  1 psaux\n");
	put(h, "/proc/net/unix",
	    "Num       RefCount Protocol Flags    Type St Inode Path\n"
	    "000000004d6d7415: 00000002 00000000 00010000 0001 01 10366 @dlmc_sock\n"
	    "0000000087bd815b: 00000002 00000000 00010000 0001 01 10367 @dlmc_query_sock\n");
	put(h, "/dev/misc/dlm-control", "");
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	struct host *h = *state;

	(void)nftw(h->root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(h);
	return 0;
}

static int check(const struct host *h, struct err *err)
{
	char kernel_name[DLM_NAME_ROOM];

	dlm_name(UUID, strlen(UUID), kernel_name);
	return dlm_host_check(h->root, UUID, strlen(UUID), kernel_name, err);
}

static void a_host_with_all_of_it_is_fine(void **state)
{
	struct err err = ERR_INIT;

	assert_ok(check(*state, &err), err);
}

static void a_module_that_is_not_loaded_is_named(void **state)
{
	struct err err = ERR_INIT;

	drop(*state, "/sys/kernel/dlm");
	assert_refused(check(*state, &err), -ENOENT, err, "modprobe dlm", "dlm_controld");
}

static void a_controld_that_does_not_run_is_named(void **state)
{
	struct err err = ERR_INIT;

	put(*state, "/proc/net/unix",
	    "Num       RefCount Protocol Flags    Type St Inode Path\n"
	    "000000004d6d7415: 00000002 00000000 00010000 0001 01 10366 @x@dlmc_query_sock\n"
	    "000000004d6d7415: 00000002 00000000 00010000 0001 01 10366\n");
	assert_refused(check(*state, &err), -ESRCH, err, "dlm_controld", "systemctl start dlm");
}

/* A new dlm_controld would not have it. */
static void a_lockspace_that_a_crash_of_controld_left_asks_for_a_restart(void **state)
{
	struct err err = ERR_INIT;

	put(*state, "/proc/net/unix", "");
	put(*state, "/sys/kernel/dlm/other/", "");
	assert_refused(check(*state, &err), -ESTALE, err, "other", "restart this node");
}

/* A process of ours that was killed: its device is there, and its orphans. */
static void a_lockspace_that_our_crash_left_is_taken_again(void **state)
{
	struct err err = ERR_INIT;

	put(*state, "/sys/kernel/dlm/mdcl-" UUID "/", "");
	put(*state, "/proc/misc", "124 dlm-control\n121 dlm_mdcl-" UUID "\n");
	assert_ok(check(*state, &err), err);
}

static void our_name_without_a_device_is_not_ours(void **state)
{
	struct err err = ERR_INIT;

	put(*state, "/sys/kernel/dlm/mdcl-" UUID "/", "");
	assert_refused(check(*state, &err), -EBUSY, err, "mdcl-" UUID, "not ours");
}

/* B55 */
static void an_array_that_md_cluster_runs_is_refused(void **state)
{
	const struct host *h = *state;
	struct err err = ERR_INIT;

	put(h, "/sys/kernel/dlm/" UUID "/", "");
	assert_refused(check(h, &err), -EBUSY, err, UUID, "md-cluster", "mdadm --stop");
	assert_int_equal(dlm_host_owner(h->root, UUID, strlen(UUID)), DLM_OWNER_KERNEL);
	assert_int_equal(dlm_host_owner(h->root, "other", 5), DLM_OWNER_NONE);
}

static void another_program_with_that_lockspace_is_told_from_the_kernel(void **state)
{
	const struct host *h = *state;
	struct err err = ERR_INIT;

	put(h, "/sys/kernel/dlm/" UUID "/", "");
	put(h, "/proc/misc", "124 dlm-control\n121 dlm_" UUID "\n");
	assert_refused(check(h, &err), -EBUSY, err, "another program");
	assert_int_equal(dlm_host_owner(h->root, UUID, strlen(UUID)), DLM_OWNER_PROCESS);
}

static void names_that_are_paths_are_nobodys(void **state)
{
	const struct host *h = *state;
	struct err err = ERR_INIT;

	assert_int_equal(dlm_host_owner(h->root, "..", 2), DLM_OWNER_NONE);
	assert_int_equal(dlm_host_owner(h->root, "../dlm", 6), DLM_OWNER_NONE);
	assert_ok(dlm_host_check(h->root, "../dlm", 6, "mdclx-0", &err), err);
}

static void a_configfs_that_is_not_mounted_is_named(void **state)
{
	struct err err = ERR_INIT;

	drop(*state, "/sys/kernel/config/dlm/cluster/spaces");
	drop(*state, "/sys/kernel/config/dlm/cluster");
	assert_refused(check(*state, &err), -ENODEV, err, "mount -t configfs");
}

static void a_control_device_that_udev_did_not_make_is_named_with_its_number(void **state)
{
	struct err err = ERR_INIT;

	drop(*state, "/dev/misc/dlm-control");
	assert_refused(check(*state, &err), -ENODEV, err, "/dev/misc/dlm-control is missing",
		       "udevadm trigger", "c 10 124");
	err = (struct err)ERR_INIT;
	put(*state, "/proc/misc", "123 dlm-monitor\n");
	assert_refused(check(*state, &err), -ENODEV, err, "/proc/misc");
}

/* --- fencing ------------------------------------------------------------------------------- */

static int fencing(const char *text, struct err *err)
{
	return dlm_host_check_fencing(text, strlen(text), err);
}

/* D14 */
static void a_controld_that_does_not_fence_proves_nothing(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_refused(fencing("log_debug=1 (dlm.conf)\n"
			       "enable_fencing=0 (dlm.conf)\n"
			       "enable_concurrent_fencing=0\n"
			       "enable_startup_fencing=1\n", &err),
		       -EPERM, err, "enable_fencing=0", "no proof", "fence methods");
	err = (struct err)ERR_INIT;
	assert_refused(fencing("enable_fencing=1\nenable_startup_fencing=0 (cli option)\n", &err),
		       -EPERM, err, "enable_startup_fencing=0");
}

static void a_controld_that_fences_is_believed(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(fencing("enable_fencing=1\nenable_startup_fencing=1", &err), err);
}

static void a_controld_that_does_not_say_is_not_believed(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_refused(fencing("", &err), -EBADMSG, err, "enable_fencing");
	assert_refused(fencing("enable_fencing=\nxenable_fencing=1\nenable_fencing=", &err),
		       -EBADMSG, err, "enable_fencing");
	assert_refused(fencing("enable_fencing=1\n", &err), -EBADMSG, err,
		       "enable_startup_fencing");
}

#define ON_A_HOST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* Who was killed leaves them behind; what others have there is none of it. */
static void lockspaces_of_ours_are_found_and_nobody_elses(void **state)
{
	const struct host *h = *state;
	char names[4][DLM_NAME_ROOM];

	assert_int_equal(dlm_host_our_spaces(h->root, names, 4), 0);
	put(h, "/sys/kernel/dlm/" UUID "/", "");       /* md-cluster's */
	put(h, "/sys/kernel/dlm/mdcl-kernel/", "");    /* no process made it */
	put(h, "/sys/kernel/dlm/lvm_mdcl-x/", "");
	put(h, "/sys/kernel/dlm/mdcl-" UUID "/", "");
	put(h, "/proc/misc", "124 dlm-control\n 55 dlm_mdcl-" UUID "\n 56 dlm_lvm_mdcl-x\n");
	assert_int_equal(dlm_host_our_spaces(h->root, names, 4), 1);
	assert_string_equal(names[0], "mdcl-" UUID);
	assert_int_equal(dlm_host_our_spaces(h->root, names, 0), 0);
}

static void dlm_controld_is_seen_by_its_socket(void **state)
{
	const struct host *h = *state;

	assert_true(dlm_host_has_daemon(h->root));
	put(h, "/proc/net/unix", "Num RefCount\n");
	assert_false(dlm_host_has_daemon(h->root));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_A_HOST(a_host_with_all_of_it_is_fine),
		ON_A_HOST(a_module_that_is_not_loaded_is_named),
		ON_A_HOST(a_controld_that_does_not_run_is_named),
		ON_A_HOST(a_lockspace_that_a_crash_of_controld_left_asks_for_a_restart),
		ON_A_HOST(a_lockspace_that_our_crash_left_is_taken_again),
		ON_A_HOST(lockspaces_of_ours_are_found_and_nobody_elses),
		ON_A_HOST(dlm_controld_is_seen_by_its_socket),
		ON_A_HOST(our_name_without_a_device_is_not_ours),
		ON_A_HOST(an_array_that_md_cluster_runs_is_refused),
		ON_A_HOST(another_program_with_that_lockspace_is_told_from_the_kernel),
		ON_A_HOST(names_that_are_paths_are_nobodys),
		ON_A_HOST(a_configfs_that_is_not_mounted_is_named),
		ON_A_HOST(a_control_device_that_udev_did_not_make_is_named_with_its_number),
		cmocka_unit_test(a_controld_that_does_not_fence_proves_nothing),
		cmocka_unit_test(a_controld_that_fences_is_believed),
		cmocka_unit_test(a_controld_that_does_not_say_is_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
