// SPDX-License-Identifier: GPL-2.0
/*
 * A function in reset or in a low-power state does not answer. The kernel
 * reports these states to the IOMMU driver, and a trace event shows the
 * reports. The tested devices have such states: an NVMe disk on the root bus,
 * and an edu device behind a port with a bus reset.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "../kselftest_harness.h"
#include "lib/edu.h"
#include "lib/iommufd.h"
#include "lib/vfio.h"

#define NVME_VENDOR	0x1b36
#define NVME_DEVICE	0x0010

#define TRACEFS		"/sys/kernel/tracing"
#define TRACE_DIR	TRACEFS "/instances/vfio_quiet"
#define TRACE_EVENT	"events/iommu/device_quiet"

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

static int pci_attr(const struct vfio_pci *pci, const char *attr,
		    const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", pci->bdf,
		 attr);
	return write_file(path, text);
}

/* Return: true if the function is on a separate bus behind a port */
static bool behind_port(const struct vfio_pci *pci)
{
	return strncmp(pci->bdf, "0000:00:", 8);
}

FIXTURE(quiet)
{
	struct vfio_pci pci;
	int iommufd;
	int trace;
};

FIXTURE_VARIANT(quiet)
{
	unsigned int vendor;
	unsigned int device;
	bool behind_port;
};

FIXTURE_VARIANT_ADD(quiet, disk)
{
	.vendor = NVME_VENDOR,
	.device = NVME_DEVICE,
};

FIXTURE_VARIANT_ADD(quiet, behind_port)
{
	.vendor = EDU_VENDOR,
	.device = EDU_DEVICE,
	.behind_port = true,
};

FIXTURE_SETUP(quiet)
{
	unsigned int i = 0;

	self->iommufd = -1;
	self->trace = -1;
	self->pci.fd = -1;
	if (access("/dev/iommu", F_OK))
		SKIP(return, "no /dev/iommu: CONFIG_IOMMUFD");
	if (access(TRACEFS "/events", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	if (access(TRACEFS "/" TRACE_EVENT, F_OK))
		SKIP(return, "no tracing of events: CONFIG_FTRACE");
	do {
		if (vfio_pci_find(&self->pci, variant->vendor, variant->device,
				  i++))
			SKIP(return, "no such device: see tools/testing/vm/run");
	} while (behind_port(&self->pci) != variant->behind_port);

	rmdir(TRACE_DIR);
	ASSERT_EQ(0, mkdir(TRACE_DIR, 0700));
	self->trace = open(TRACE_DIR "/trace_pipe",
			   O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, self->trace);

	self->iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, vfio_pci_take(&self->pci));
	ASSERT_EQ(0, vfio_pci_open(&self->pci));
	ASSERT_EQ(0, vfio_pci_bind_iommufd(&self->pci, self->iommufd));
	ASSERT_EQ(0, write_file(TRACE_DIR "/" TRACE_EVENT "/enable", "1"));
}

FIXTURE_TEARDOWN(quiet)
{
	if (self->pci.fd >= 0)
		vfio_pci_close(&self->pci);
	if (self->iommufd >= 0)
		close(self->iommufd);
	if (self->trace >= 0) {
		close(self->trace);
		rmdir(TRACE_DIR);
	}
}

/**
 * struct reports - Reports of one function, for one reason
 * @begins: number of changes to quiet
 * @ends: number of end reports since the first change
 * @last: the last report: 1 for quiet, 0 for not quiet, -1 for none
 */
struct reports {
	int begins;
	int ends;
	int last;
};

/* Reports since the last call. Discards the reports for other reasons. */
static struct reports take_reports(const struct vfio_pci *pci, int trace,
				   const char *why)
{
	struct reports r = { .last = -1 };
	char want[64], buf[16384];
	size_t len = 0;
	ssize_t got;
	char *p;

	while ((got = read(trace, buf + len, sizeof(buf) - 1 - len)) > 0)
		len += got;
	buf[len] = 0;
	snprintf(want, sizeof(want), "device=%s why=%s quiet=", pci->bdf, why);
	for (p = buf; (p = strstr(p, want)); ) {
		p += strlen(want);
		r.begins += *p == '1' && r.last != 1;
		r.ends += *p == '0' && r.begins;
		r.last = *p == '1';
	}
	return r;
}

/* Quiet once, until the state of the function is restored */
#define test_was_quiet(_why)						\
	do {								\
		struct reports _r = take_reports(&self->pci, self->trace, \
						 _why);			\
									\
		EXPECT_EQ(1, _r.begins);				\
		EXPECT_EQ(1, _r.ends);					\
		EXPECT_EQ(0, _r.last);					\
	} while (0)

#define test_last_report(_why, _last)					\
	ASSERT_EQ(_last,						\
		  take_reports(&self->pci, self->trace, _why).last)

static __u64 config_offset(struct vfio_pci *pci)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};

	return ioctl(pci->fd, VFIO_DEVICE_GET_REGION_INFO, &info) ? 0 :
								    info.offset;
}

/* Offset of the capability in configuration space, 0 if it is missing */
static unsigned int find_capability(struct vfio_pci *pci, unsigned char id)
{
	const __u64 config = config_offset(pci);
	unsigned char cap[2], at = 0;

	pread(pci->fd, &at, 1, config + PCI_CAPABILITY_LIST);
	while (at) {
		if (pread(pci->fd, cap, 2, config + at) != 2)
			return 0;
		if (cap[0] == id)
			return at;
		at = cap[1];
	}
	return 0;
}

static int config_set(struct vfio_pci *pci, unsigned int at, __u16 clear,
		      __u16 set)
{
	const __u64 config = config_offset(pci);
	__u16 val;

	if (pread(pci->fd, &val, 2, config + at) != 2)
		return -errno;
	val = (val & ~clear) | set;
	return pwrite(pci->fd, &val, 2, config + at) == 2 ? 0 : -errno;
}

TEST_F(quiet, device_reset)
{
	ASSERT_EQ(0, ioctl(self->pci.fd, VFIO_DEVICE_RESET));
	test_was_quiet("reset");
}

TEST_F(quiet, guest_flr)
{
	unsigned int cap = find_capability(&self->pci, PCI_CAP_ID_EXP);
	__u16 has[2];

	if (!cap ||
	    pread(self->pci.fd, has, 4,
		  config_offset(&self->pci) + cap + PCI_EXP_DEVCAP) != 4 ||
	    !((has[1] << 16 | has[0]) & PCI_EXP_DEVCAP_FLR))
		SKIP(return, "the function has no FLR");
	ASSERT_EQ(0, config_set(&self->pci, cap + PCI_EXP_DEVCTL, 0,
				PCI_EXP_DEVCTL_BCR_FLR));
	test_was_quiet("reset");
}

/* Use each reset method in sysfs */
TEST_F(quiet, reset_methods)
{
	char path[128], methods[128] = "", *method, *p = methods;
	int fd, done = 0;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset_method",
		 self->pci.bdf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, read(fd, methods, sizeof(methods) - 1));
	close(fd);
	while ((method = strsep(&p, "\n "))) {
		if (!*method)
			continue;
		ASSERT_EQ(0, pci_attr(&self->pci, "reset_method", method));
		ASSERT_EQ(0, pci_attr(&self->pci, "reset", "1"));
		test_was_quiet("reset");
		done++;
	}
	ASSERT_LT(0, done);
	ASSERT_EQ(0, pci_attr(&self->pci, "reset_method", "default"));
}

TEST_F(quiet, hot_reset)
{
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };

	if (!variant->behind_port)
		SKIP(return, "the bus is not the function's alone");
	ASSERT_EQ(0, ioctl(self->pci.fd, VFIO_DEVICE_PCI_HOT_RESET, &reset));
	test_was_quiet("reset");
}

TEST_F(quiet, close)
{
	vfio_pci_close(&self->pci);
	self->pci.fd = -1;
	test_was_quiet("reset");
}

/* The guest switches its function to D3hot and back */
TEST_F(quiet, guest_power)
{
	unsigned int cap = find_capability(&self->pci, PCI_CAP_ID_PM);

	if (!cap)
		SKIP(return, "the function has no power management");
	ASSERT_EQ(0, config_set(&self->pci, cap + PCI_PM_CTRL,
				PCI_PM_CTRL_STATE_MASK, 3));
	test_last_report("power", 1);
	ASSERT_EQ(0, config_set(&self->pci, cap + PCI_PM_CTRL,
				PCI_PM_CTRL_STATE_MASK, 0));
	test_last_report("power", 0);

	/* A reset in D3hot */
	ASSERT_EQ(0, config_set(&self->pci, cap + PCI_PM_CTRL,
				PCI_PM_CTRL_STATE_MASK, 3));
	ASSERT_EQ(0, ioctl(self->pci.fd, VFIO_DEVICE_RESET));
	test_last_report("power", 0);
}

/* The VMM lets the host suspend the function */
TEST_F(quiet, low_power)
{
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature),
		.flags = VFIO_DEVICE_FEATURE_SET |
			 VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
	};
	int i, last = -1;

	if (!find_capability(&self->pci, PCI_CAP_ID_PM))
		SKIP(return, "the function has no power management");
	if (access("/sys/power", F_OK))
		SKIP(return, "no runtime power management: CONFIG_PM");
	ASSERT_EQ(0, ioctl(self->pci.fd, VFIO_DEVICE_FEATURE, &feature));
	for (i = 0; i != 100 && last != 1; i++) {
		usleep(50000);
		last = take_reports(&self->pci, self->trace, "power").last;
	}
	ASSERT_EQ(1, last);
	feature.flags = VFIO_DEVICE_FEATURE_SET |
			VFIO_DEVICE_FEATURE_LOW_POWER_EXIT;
	ASSERT_EQ(0, ioctl(self->pci.fd, VFIO_DEVICE_FEATURE, &feature));
	test_last_report("power", 0);
}

TEST_HARNESS_MAIN
