/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/guard.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/host.h"
#include "base/text.h"
#include "bitmap/member.h"

#define STATE_DIR "/var/lib/mdcluster"

/* As mdclusterd/daemon/slot_memory.h has it: a number, and the array's uuid. */
static bool is_remembered_in(const char *path, const char *uuid)
{
	char line[TEXT_UUID_BYTES + 1] = "";
	FILE *file = fopen(path, "re");
	bool is_it = false;

	if (!file)
		return false;
	if (fgets(line, sizeof(line), file) && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		is_it = strcmp(line, uuid) == 0;
	}
	(void)fclose(file);
	return is_it;
}

static bool ran_here(const struct md_sb *sb)
{
	const char *folder = secure_getenv("MDCLUSTER_STATE_DIR");
	char uuid[TEXT_UUID_BYTES], pattern[4096];
	bool is_remembered = false;
	glob_t found;

	text_uuid(sb->set_uuid, uuid);
	snprintf(pattern, sizeof(pattern), "%s/*.slot", folder ? folder : STATE_DIR);
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc && !is_remembered; i++)
			is_remembered = is_remembered_in(found.gl_pathv[i], uuid);
		globfree(&found);
	}
	return is_remembered;
}

bool guard_hides(const struct md_member *m, struct guard *g)
{
	char host[HOST_NAME_BYTES], words[MD_OWNER_WORDS_BYTES];
	struct err ignored = ERR_INIT;

	memset(g, 0, sizeof(*g));
	if (m->sb.feature_map & MD_FEATURE_CLUSTERED)
		return false;
	g->has_owner = md_owner_read(&m->sb, m->block, &g->owner);
	if (g->has_owner) {
		(void)host_name(host, &ignored); /* "" is nobody: rather too late than twice */
		if (md_owner_is(&g->owner, host))
			return false;
		snprintf(g->why, sizeof(g->why), "this host, %s, shall not have its array: %s",
			 *host ? host : "of no name yet", md_owner_words(&g->owner, words));
		return true;
	}
	if (!ran_here(&m->sb))
		return false;
	snprintf(g->why, sizeof(g->why),
		 "its array ran here with its cluster, is of none any more, and nothing says which host may have it (mdcluster update --homehost says so, grow --bitmap=clustered brings it back)");
	return true;
}
