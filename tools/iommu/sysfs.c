// SPDX-License-Identifier: GPL-2.0
/* Facts about devices from sysfs, without opening any device */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/pci_regs.h>

#include "device.h"

#define PCI_DEVICES	"/sys/bus/pci/devices"
#define IOMMUS		"/sys/class/iommu"

static ssize_t read_file(const char *path, void *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, buf, size);
	if (len < 0)
		len = -errno;
	close(fd);
	return len;
}

/* Last component of the target of a link; empty if there is no link */
static void link_name(const char *dir, const char *link, char *name,
		      size_t size)
{
	char path[PATH_MAX], to[PATH_MAX];
	const char *slash;
	ssize_t len;

	*name = 0;
	snprintf(path, sizeof(path), "%s/%s", dir, link);
	len = readlink(path, to, sizeof(to) - 1);
	if (len < 0)
		return;
	to[len] = 0;
	slash = strrchr(to, '/');
	snprintf(name, size, "%s", slash ? slash + 1 : to);
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Add the entries of a directory to the @num names at *@devs */
static int add_entries(const char *path, struct name **devs, int num)
{
	struct dirent *d;
	DIR *dir;

	dir = opendir(path);
	if (!dir)
		return num;
	while ((d = readdir(dir))) {
		void *more;

		if (d->d_name[0] == '.')
			continue;
		more = realloc(*devs, (num + 1) * sizeof(**devs));
		if (!more) {
			num = -ENOMEM;
			break;
		}
		*devs = more;
		snprintf((*devs)[num++].s, sizeof(**devs), "%s", d->d_name);
	}
	closedir(dir);
	return num;
}

int sysfs_devices(struct name **devs)
{
	struct dirent *d;
	int num, i, unique = 0;
	DIR *dir;

	*devs = NULL;
	num = add_entries(PCI_DEVICES, devs, 0);
	dir = opendir(IOMMUS);
	while (dir && num >= 0 && (d = readdir(dir))) {
		char path[PATH_MAX];

		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), IOMMUS "/%s/devices", d->d_name);
		num = add_entries(path, devs, num);
	}
	if (dir)
		closedir(dir);
	if (num <= 0)
		return num;

	qsort(*devs, num, sizeof(**devs), compare);
	for (i = 1; i < num; i++)
		if (strcmp((*devs)[unique].s, (*devs)[i].s))
			(*devs)[++unique] = (*devs)[i];
	return unique + 1;
}

/* Find the directory of a device: a PCI function, or a device with an IOMMU */
static int find(const char *name, char *path, size_t size)
{
	struct dirent *d;
	int ret = -ENODEV;
	DIR *dir;

	if (!*name || strchr(name, '/') || name[0] == '.')
		return -ENODEV;
	snprintf(path, size, PCI_DEVICES "/%s", name);
	if (!access(path, F_OK))
		return 0;

	dir = opendir(IOMMUS);
	while (dir && ret && (d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(path, size, IOMMUS "/%s/devices/%s", d->d_name, name);
		if (!access(path, F_OK))
			ret = 0;
	}
	if (dir)
		closedir(dir);
	return ret;
}

static __u32 config_u32(const __u8 *config, unsigned int at)
{
	return config[at] | config[at + 1] << 8 | config[at + 2] << 16 |
	       (__u32)config[at + 3] << 24;
}

/*
 * Extended capabilities of a PCI function, if they are readable. A virtual
 * function has an ATS capability, but shares PRI and PASID with the physical
 * one.
 */
static void read_pci_caps(const char *path, struct device *dev, bool shared)
{
	__u8 config[4096];
	unsigned int at = PCI_CFG_SPACE_SIZE, left;
	char name[PATH_MAX];
	ssize_t len;

	snprintf(name, sizeof(name), "%s/config", path);
	len = read_file(name, config, sizeof(config));
	/* Without privileges only the first bytes are readable */
	if (len < PCI_CFG_SPACE_SIZE || config_u32(config, 0) == ~0U)
		return;
	dev->pri = NO;
	dev->pasid = NO;
	if (!shared) {
		dev->ats = NO;
		dev->ats_on = NO;
	}

	/* An entry has at least 8 bytes, so a longer list is a loop */
	left = (sizeof(config) - PCI_CFG_SPACE_SIZE) / 8;
	while (left-- && at >= PCI_CFG_SPACE_SIZE && at + 8 <= (size_t)len) {
		__u32 header = config_u32(config, at);
		__u32 word = config_u32(config, at + 4);

		switch (PCI_EXT_CAP_ID(header)) {
		case PCI_EXT_CAP_ID_ATS:
			if (shared)
				break;
			dev->ats = YES;
			if ((word >> 16) & PCI_ATS_CTRL_ENABLE)
				dev->ats_on = YES;
			break;
		case PCI_EXT_CAP_ID_PRI:
			dev->pri = YES;
			break;
		case PCI_EXT_CAP_ID_PASID:
			dev->pasid = YES;
			dev->pasid_bits = (word >> 8) & 0x1f;
			break;
		}
		at = PCI_EXT_CAP_NEXT(header);
	}
}

static void find_vfio(const char *path, char *vfio, size_t size)
{
	char name[PATH_MAX];
	struct dirent *d;
	DIR *dir;

	snprintf(name, sizeof(name), "%s/vfio-dev", path);
	dir = opendir(name);
	if (!dir)
		return;
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.')
			snprintf(vfio, size, "%s", d->d_name);
	closedir(dir);
}

/* Find a device of the group whose header type vfio-pci refuses: a bridge */
static void find_bridge(const char *path, char *bridge, size_t size)
{
	char name[PATH_MAX + 64], devices[PATH_MAX];
	__u8 config[PCI_STD_HEADER_SIZEOF];
	struct dirent *d;
	DIR *dir;

	snprintf(devices, sizeof(devices), "%s/iommu_group/devices", path);
	dir = opendir(devices);
	if (!dir)
		return;
	while ((d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%.50s/config", devices,
			 d->d_name);
		if (read_file(name, config, sizeof(config)) > PCI_HEADER_TYPE &&
		    (config[PCI_HEADER_TYPE] & 0x7f) != PCI_HEADER_TYPE_NORMAL)
			snprintf(bridge, size, "%.50s", d->d_name);
	}
	closedir(dir);
}

int sysfs_device(const char *name, struct device *dev)
{
	char path[PATH_MAX], physfn[PATH_MAX + 8], group[32];

	*dev = (struct device){
		.group = -1,
		.ats = UNKNOWN,
		.ats_on = UNKNOWN,
		.pri = UNKNOWN,
		.pasid = UNKNOWN,
	};
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	if (find(dev->name, path, sizeof(path))) {
		/* The domain of a PCI address is optional */
		snprintf(dev->name, sizeof(dev->name), "0000:%s", name);
		if (find(dev->name, path, sizeof(path)))
			return -ENODEV;
	}
	link_name(path, "driver", dev->driver, sizeof(dev->driver));
	link_name(path, "iommu", dev->iommu, sizeof(dev->iommu));
	link_name(path, "iommu_group", group, sizeof(group));
	if (*group)
		dev->group = atoi(group);
	find_bridge(path, dev->bridge, sizeof(dev->bridge));
	find_vfio(path, dev->vfio, sizeof(dev->vfio));
	read_pci_caps(path, dev, false);
	snprintf(physfn, sizeof(physfn), "%s/physfn", path);
	if (!access(physfn, F_OK)) {
		dev->pri = UNKNOWN;
		dev->pasid = UNKNOWN;
		read_pci_caps(physfn, dev, true);
	}
	return 0;
}

enum known sysfs_assume_canwbs(void)
{
	char val;

	if (read_file("/sys/module/arm_smmu_v3/parameters/assume_canwbs", &val,
		      sizeof(val)) != sizeof(val))
		return UNKNOWN;
	return val == 'Y' ? YES : NO;
}

enum known sysfs_config(const struct kernel *kernel, const char *symbol)
{
	enum known found = UNKNOWN;
	char path[PATH_MAX];
	size_t len = strlen(symbol);
	char *line = NULL;
	bool zipped;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/boot/config-%s", kernel->release);
	f = fopen(path, "re");
	zipped = !f;
	if (zipped && !access("/proc/config.gz", R_OK))
		f = popen("gzip -cd /proc/config.gz 2>/dev/null", "re");
	if (!f)
		return UNKNOWN;
	while (found != YES && getline(&line, &size, f) > 0) {
		/* Without gzip the output is empty */
		found = NO;
		if (!strncmp(line, symbol, len) && line[len] == '=' &&
		    (line[len + 1] == 'y' || line[len + 1] == 'm'))
			found = YES;
	}
	free(line);
	if (zipped)
		pclose(f);
	else
		fclose(f);
	return found;
}
