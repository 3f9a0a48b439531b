/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common parts of the SMMUv3 tests: memory and devices of a VM, and for each
 * ioctl a one-line fact and a twin that expects an errno.
 */
#ifndef SELFTEST_IOMMU_SMMUV3_UTILS_H
#define SELFTEST_IOMMU_SMMUV3_UTILS_H

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "../kselftest_harness.h"
#include "lib/edu.h"
#include "lib/iommufd.h"
#include "lib/smmuv3.h"
#include "lib/vfio.h"

/*
 * Memory of the VM: tables, and data pages. Each data page is a separate
 * mapping, so that a test can unmap it. The kernel reserves the window for
 * MSIs.
 */
#define TABLES_IPA	0x40000000ULL
#define TABLES_SIZE	0x400000UL
#define DATA_IPA	0x100000000ULL
#define NR_DATA		16
#define MSI_WINDOW	0x8000000ULL
#define MSI_WINDOW_SIZE	0x100000ULL

/* Index of the resettable edu device, behind a separate port */
#define EDU_WITH_RESET	4

/* VA of data in stage 1: unlike any IPA, and above 32 bits */
#define GUEST_VA	0x765432000000ULL

/* Values for the first device of a fixture */
#define ASID		0x2a
#define VSID		0x1234

/* No object has these ids */
#define ID_NONE		0U
#define ID_UNKNOWN	0x7ffffff0U

#define READABLE	IOMMU_IOAS_MAP_READABLE
#define WRITEABLE	IOMMU_IOAS_MAP_WRITEABLE

/**
 * struct vm - One guest on one iommufd
 * @fd: the iommufd
 * @ioas: its memory
 * @page: host page size, the smallest mapping
 * @tables: memory for the guest's structures
 * @data: NR_DATA pages
 * @s2: the nest parent
 * @viommu: the vIOMMU on @s2
 */
struct vm {
	int fd;
	__u32 ioas;
	size_t page;
	struct smmuv3_mem tables;
	void *data;
	__u32 s2;
	__u32 viommu;
};

/**
 * struct guest_dev - An edu device that belongs to the guest
 * @pci: the vfio device
 * @edu: its DMA engine; the mailbox is one of the last data pages of the VM
 * @id: its iommufd id, the same as @pci.dev_id
 * @info: ID registers of its SMMU
 * @vdev: its vDEVICE
 * @hwpt: its nested HWPT
 * @asid: ASID in @cd
 * @cd: IPA of its context descriptor
 * @s1: the table that @cd points to
 */
struct guest_dev {
	struct vfio_pci pci;
	struct edu edu;
	__u32 id;
	struct iommu_hw_info_arm_smmuv3 info;
	__u32 vdev;
	__u32 hwpt;
	unsigned int asid;
	__u64 cd;
	struct smmuv3_s1 s1;
};

static inline void *vm_page(struct vm *vm, unsigned int i)
{
	return vm->data + i * vm->page;
}

static inline __u64 vm_ipa(struct vm *vm, unsigned int i)
{
	return DATA_IPA + i * vm->page;
}

/* ---- The ioctls as facts ---- */

static inline bool fact_fails(struct __test_metadata *_metadata, int line,
			      const char *call, int want, int got)
{
	if (want == got)
		return false;
	fprintf(TH_LOG_STREAM, "# %s:%d: %s is %d (%s), not %d (%s)\n",
		_metadata->name, line, call, got,
		got < 0 ? strerror(-got) : "-", want,
		want < 0 ? strerror(-want) : "-");
	_metadata->exit_code = KSFT_FAIL;
	return true;
}

/*
 * ASSERT_EQ() as a single statement, for use in loops. As with ASSERT_EQ(), a
 * block with more diagnostics may follow.
 */
#define FACT_IS(_want, _call)						\
	for (; fact_fails(_metadata, __LINE__, #_call, _want, _call);	\
	     __bail(1, _metadata))
#define FACT(_call)		FACT_IS(0, _call)
#define REFUSED(_errno, _call)	FACT_IS(-(_errno), _call)

#define test_destroy(_fd, _id)						\
	FACT(iommufd_destroy(_fd, _id))
#define test_err_destroy(_errno, _fd, _id)				\
	REFUSED(_errno, iommufd_destroy(_fd, _id))

#define test_ioas_map(_vm, _i, _ipa, _prot)				\
	FACT(vm_map(_vm, _i, _ipa, _prot))
#define test_ioas_unmap(_vm, _ipa, _len)				\
	FACT(vm_unmap(_vm, _ipa, _len))

#define test_hwpt_alloc(_fd, _dev, _ioas, _flags, _id)			\
	FACT(iommufd_hwpt_alloc(_fd, _dev, _ioas, _flags, _id))
#define test_err_hwpt_alloc(_errno, _fd, _dev, _ioas, _flags, _id)	\
	REFUSED(_errno, iommufd_hwpt_alloc(_fd, _dev, _ioas, _flags, _id))

#define test_hwpt_alloc_ste(_fd, _dev, _viommu, _ste, _id)		\
	FACT(iommufd_hwpt_alloc_ste(_fd, _dev, _viommu, _ste, _id))
#define test_err_hwpt_alloc_ste(_errno, _fd, _dev, _viommu, _ste, _id)	\
	REFUSED(_errno, iommufd_hwpt_alloc_ste(_fd, _dev, _viommu, _ste, _id))

#define test_viommu_alloc(_fd, _dev, _s2, _id)				\
	FACT(iommufd_viommu_alloc(_fd, _dev, _s2,			\
				  IOMMU_VIOMMU_TYPE_ARM_SMMUV3, _id))
#define test_err_viommu_alloc(_errno, _fd, _dev, _s2, _id)		\
	REFUSED(_errno,							\
		iommufd_viommu_alloc(_fd, _dev, _s2,			\
				     IOMMU_VIOMMU_TYPE_ARM_SMMUV3, _id))

#define test_vdevice_alloc(_fd, _viommu, _dev, _vsid, _id)		\
	FACT(iommufd_vdevice_alloc(_fd, _viommu, _dev, _vsid, _id))
#define test_err_vdevice_alloc(_errno, _fd, _viommu, _dev, _vsid, _id)	\
	REFUSED(_errno, iommufd_vdevice_alloc(_fd, _viommu, _dev, _vsid, _id))

#define test_attach(_gdev, _pt)						\
	FACT(vfio_pci_attach(&(_gdev)->pci, _pt))
#define test_err_attach(_errno, _gdev, _pt)				\
	REFUSED(_errno, vfio_pci_attach(&(_gdev)->pci, _pt))
#define test_detach(_gdev)						\
	FACT(vfio_pci_detach(&(_gdev)->pci))

/* One command */
#define test_cmd(_fd, _viommu, _cmd)					\
	FACT(vm_cmd(_fd, _viommu, _cmd))
#define test_err_cmd(_errno, _fd, _viommu, _cmd)			\
	REFUSED(_errno, vm_cmd(_fd, _viommu, _cmd))

/* ---- DMA as facts ---- */

/* A write of the device to _iova changes the bytes at _p */
#define dma_writes(_gdev, _iova, _p)					\
	FACT_IS(EDU_MOVED, edu_write(&(_gdev)->edu, _iova, _p))
#define dma_write_blocked(_gdev, _iova, _p)				\
	FACT_IS(EDU_BLOCKED, edu_write(&(_gdev)->edu, _iova, _p))

/* A read from _iova returns the bytes at _p. Needs the mailbox. */
#define dma_reads(_gdev, _iova, _p)					\
	FACT_IS(EDU_MOVED, edu_read(&(_gdev)->edu, _iova, _p))
#define dma_read_blocked(_gdev, _iova, _p)				\
	FACT_IS(EDU_BLOCKED, edu_read(&(_gdev)->edu, _iova, _p))

/* Without a reachable mailbox: read now, compare later */
#define dma_try_read(_gdev, _iova, _p)					\
	FACT(edu_try_read(&(_gdev)->edu, _iova, _p))
#define dma_nothing_was_read(_gdev, _p)					\
	FACT_IS(EDU_BLOCKED, edu_check_read(&(_gdev)->edu, _p))

/* Fill the device's buffer with a new pattern */
#define dma_prime(_gdev)						\
	FACT_IS(EDU_MOVED, edu_fill(&(_gdev)->edu))

/* ---- The VM ---- */

/* Map data page @i at @ipa */
static inline int vm_map(struct vm *vm, unsigned int i, __u64 ipa, __u32 prot)
{
	return iommufd_ioas_map(vm->fd, vm->ioas, vm_page(vm, i), vm->page,
				ipa, prot);
}

static inline int vm_unmap(struct vm *vm, __u64 ipa, __u64 length)
{
	return iommufd_ioas_unmap(vm->fd, vm->ioas, ipa, length);
}

static inline int vm_cmd(int fd, __u32 viommu, struct smmuv3_cmd cmd)
{
	__u32 num = 1;
	int ret;

	ret = iommufd_invalidate(fd, viommu,
				 IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, &cmd,
				 sizeof(cmd), &num);
	/* entry_num must agree with the result */
	if (num != !ret)
		return -EPROTO;
	return ret;
}

/* Create an IOAS and map its memory */
static inline void vm_init(struct __test_metadata *_metadata, struct vm *vm)
{
	unsigned int i;

	memset(vm, 0, sizeof(*vm));
	vm->page = sysconf(_SC_PAGESIZE);
	vm->fd = iommufd_open();
	ASSERT_LE(0, vm->fd);
	FACT(iommufd_ioas_alloc(vm->fd, &vm->ioas));

	vm->tables.ipa = TABLES_IPA;
	vm->tables.size = TABLES_SIZE;
	vm->tables.va = mmap(NULL, TABLES_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, vm->tables.va);
	FACT(iommufd_ioas_map(vm->fd, vm->ioas, vm->tables.va, TABLES_SIZE,
			      TABLES_IPA, READABLE | WRITEABLE));

	vm->data = mmap(NULL, NR_DATA * vm->page, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, vm->data);
	for (i = 0; i < NR_DATA; i++)
		test_ioas_map(vm, i, vm_ipa(vm, i), READABLE | WRITEABLE);
}

/**
 * guest_dev_why_not() - Reason why a test with a device can't run here
 * @index: index of the edu device
 *
 * Return: the reason for a SKIP, or NULL
 */
static inline const char *guest_dev_why_not(unsigned int index)
{
	struct vfio_pci pci;

	if (access("/dev/iommu", F_OK))
		return "no /dev/iommu: CONFIG_IOMMUFD";
	if (vfio_pci_find(&pci, EDU_VENDOR, EDU_DEVICE, index))
		return index ? "too few edu devices: QEMU -device edu" :
			       "no edu device: QEMU -device edu,dma_mask=0xffffffffffffffff";
	if (access("/sys/bus/pci/drivers/vfio-pci", F_OK))
		return "no vfio-pci driver: CONFIG_VFIO_PCI";
	return NULL;
}

/* Use sysfs (smmu3.<address>), since iommufd is under test */
static inline bool guest_dev_on_smmuv3(const struct guest_dev *gdev)
{
	char path[64], link[256] = "";
	const char *name;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu",
		 gdev->pci.bdf);
	if (readlink(path, link, sizeof(link) - 1) < 0)
		return false;
	name = strrchr(link, '/');
	return name && !strncmp(name + 1, "smmu3.", 6);
}

/* Bind edu device @index to the VM, without attaching it */
static inline void guest_dev_open(struct __test_metadata *_metadata,
				  struct guest_dev *gdev, struct vm *vm,
				  unsigned int index)
{
	__u32 len = sizeof(gdev->info);
	__u32 type = 0;

	memset(gdev, 0, sizeof(*gdev));
	FACT(vfio_pci_find(&gdev->pci, EDU_VENDOR, EDU_DEVICE, index));
	FACT(vfio_pci_take(&gdev->pci));
	FACT(vfio_pci_open(&gdev->pci));
	FACT(vfio_pci_bind_iommufd(&gdev->pci, vm->fd));
	gdev->id = gdev->pci.dev_id;

	FACT(vfio_pci_map_bar0(&gdev->pci));
	FACT(vfio_pci_set_master(&gdev->pci));
	gdev->edu.bar = gdev->pci.bar0;
	FACT(edu_init(&gdev->edu));
	gdev->edu.mbox = vm_page(vm, NR_DATA - 1 - index);
	gdev->edu.mbox_iova = vm_ipa(vm, NR_DATA - 1 - index);

	FACT(iommufd_hw_info(vm->fd, gdev->id, &type, &gdev->info, &len, NULL));
	if (guest_dev_on_smmuv3(gdev)) {
		ASSERT_EQ(IOMMU_HW_INFO_TYPE_ARM_SMMUV3, type);
		ASSERT_EQ(sizeof(gdev->info), len);
	}
}

/* Compare the group numbers in sysfs */
static inline bool guest_dev_same_group(const struct guest_dev *a,
					const struct guest_dev *b)
{
	char path[64], group_a[256] = "", group_b[256] = "";

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
		 a->pci.bdf);
	if (readlink(path, group_a, sizeof(group_a) - 1) < 0)
		return false;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
		 b->pci.bdf);
	if (readlink(path, group_b, sizeof(group_b) - 1) < 0)
		return false;
	return !strcmp(strrchr(group_a, '/'), strrchr(group_b, '/'));
}

/* The device is bound. Return: the reason for a SKIP, or NULL */
static inline const char *guest_dev_no_smmuv3(const struct guest_dev *gdev)
{
	return guest_dev_on_smmuv3(gdev) ? NULL :
					   "the device is not behind an SMMUv3";
}

/* Create a stage 1 that maps the mailbox and the MSI window at VA = IPA */
static inline void guest_s1_init(struct __test_metadata *_metadata,
				 struct guest_dev *gdev, struct vm *vm,
				 struct smmuv3_s1 *s1,
				 unsigned int granule_shift)
{
	__u64 mbox = gdev->edu.mbox_iova;
	__u64 granule = 1ULL << granule_shift;

	FACT(smmuv3_s1_init(s1, &vm->tables, granule_shift, 48));
	FACT(smmuv3_s1_map(s1, mbox & ~(granule - 1), mbox & ~(granule - 1),
			   granule, S1_RW));
	FACT(smmuv3_s1_map(s1, MSI_WINDOW, MSI_WINDOW, MSI_WINDOW_SIZE,
			   S1_DEVICE));
}

/* Point the guest's context descriptor to a table */
static inline void guest_cd_write(struct guest_dev *gdev, struct vm *vm,
				  const struct smmuv3_s1 *s1, unsigned int asid)
{
	smmuv3_cd_write(&vm->tables, gdev->cd, s1, asid,
			smmuv3_get(IDR5_OAS, gdev->info.idr[5]));
}

/* Create gdev->s1 and gdev->cd, with data page @i at GUEST_VA */
static inline void guest_dev_stage1(struct __test_metadata *_metadata,
				    struct guest_dev *gdev, struct vm *vm,
				    unsigned int asid, unsigned int i)
{
	gdev->asid = asid;
	gdev->cd = smmuv3_cd_alloc(&vm->tables);
	ASSERT_NE(0, gdev->cd);
	guest_s1_init(_metadata, gdev, vm, &gdev->s1, 12);
	FACT(smmuv3_s1_map(&gdev->s1, GUEST_VA, vm_ipa(vm, i), 4096, S1_RW));
	guest_cd_write(gdev, vm, &gdev->s1, asid);
}

/* Allocate a vDEVICE and a nested HWPT with the device's stage 1, and attach */
static inline void attach_stage1(struct __test_metadata *_metadata,
				 struct vm *vm, struct guest_dev *gdev,
				 __u32 viommu, __u32 vsid)
{
	test_vdevice_alloc(vm->fd, viommu, gdev->id, vsid, &gdev->vdev);
	test_hwpt_alloc_ste(vm->fd, gdev->id, viommu, smmuv3_ste_s1(gdev->cd),
			    &gdev->hwpt);
	test_attach(gdev, gdev->hwpt);
	dma_prime(gdev);
}

static inline void guest_dev_close(struct guest_dev *gdev)
{
	vfio_pci_close(&gdev->pci);
}

static inline void vm_close(struct vm *vm)
{
	close(vm->fd);
	munmap(vm->data, NR_DATA * vm->page);
	munmap(vm->tables.va, TABLES_SIZE);
}

/* ---- Setup of fixtures ---- */

/**
 * guest_init() - Create a VM with one device of an SMMUv3, nesting or not
 * @_metadata: of the test
 * @vm: the VM
 * @gdev: the device, bound and not attached
 * @index: index of the edu device
 *
 * Return: the reason for a SKIP, or NULL
 */
static inline const char *guest_init(struct __test_metadata *_metadata,
				     struct vm *vm, struct guest_dev *gdev,
				     unsigned int index)
{
	const char *why = guest_dev_why_not(index);

	if (why)
		return why;
	vm_init(_metadata, vm);
	guest_dev_open(_metadata, gdev, vm, index);
	return guest_dev_no_smmuv3(gdev);
}

/**
 * guest_init_nested() - Create a VM with a nest parent, a vIOMMU and a device
 * @_metadata: of the test
 * @vm: the VM
 * @gdev: the device, bound and not attached; its stage 1 maps data page 0
 * @index: index of the edu device
 *
 * Return: the reason for a SKIP, or NULL
 */
static inline const char *guest_init_nested(struct __test_metadata *_metadata,
					    struct vm *vm,
					    struct guest_dev *gdev,
					    unsigned int index)
{
	const char *why = guest_init(_metadata, vm, gdev, index);

	why = why ?: smmuv3_why_no_nesting(&gdev->info);
	if (why)
		return why;
	test_hwpt_alloc(vm->fd, gdev->id, vm->ioas,
			IOMMU_HWPT_ALLOC_NEST_PARENT, &vm->s2);
	test_viommu_alloc(vm->fd, gdev->id, vm->s2, &vm->viommu);
	guest_dev_stage1(_metadata, gdev, vm, ASID, 0);
	return NULL;
}

/* guest_init_nested(), with the next edu device bound as @b */
static inline const char *guest_init_pair(struct __test_metadata *_metadata,
					  struct vm *vm, struct guest_dev *a,
					  struct guest_dev *b,
					  unsigned int index)
{
	const char *why = guest_dev_why_not(index + 1);

	why = why ?: guest_init_nested(_metadata, vm, a, index);
	if (!why)
		guest_dev_open(_metadata, b, vm, index + 1);
	return why;
}

/* Bind two edu devices; @b has a separate vIOMMU and data page 1 */
static inline const char *guest_init_apart(struct __test_metadata *_metadata,
					   struct vm *vm, struct guest_dev *a,
					   struct guest_dev *b,
					   unsigned int asid_b,
					   __u32 *viommu_b)
{
	const char *why = guest_init_pair(_metadata, vm, a, b, 0);

	if (why)
		return why;
	test_viommu_alloc(vm->fd, b->id, vm->s2, viommu_b);
	guest_dev_stage1(_metadata, b, vm, asid_b, 1);
	return NULL;
}

/* ---- Teardown ---- */

/* A closed descriptor is -1 */
static inline void close_fd(int *fd)
{
	close(*fd);
	*fd = -1;
}

/**
 * struct doomed - A child process to be killed while it works
 * @pid: the process
 * @ready: pipe on which the child reports that it runs
 */
struct doomed {
	pid_t pid;
	int ready[2];
};

/* Return: true in the child, which must exit by itself */
static inline bool doomed_start(struct __test_metadata *_metadata,
				struct doomed *d)
{
	ASSERT_EQ(0, pipe(d->ready));
	d->pid = fork();
	ASSERT_LE(0, d->pid);
	return !d->pid;
}

static inline void doomed_is_ready(struct doomed *d)
{
	if (write(d->ready[1], "", 1) != 1)
		_exit(1);
}

/* Kill the child @usec after it was ready */
static inline void doomed_kill(struct __test_metadata *_metadata,
			       struct doomed *d, unsigned int usec)
{
	int status;
	char byte;

	close(d->ready[1]);
	ASSERT_EQ(1, read(d->ready[0], &byte, 1));
	close(d->ready[0]);
	usleep(usec);
	ASSERT_EQ(0, kill(d->pid, SIGKILL));
	ASSERT_EQ(d->pid, waitpid(d->pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
}

/* Time to wait for the device's first MSI on an eventfd, or for its absence */
#define MSI_WAIT_MSEC		2000
#define MSI_ABSENT_MSEC		200

static inline bool msi_arrives(struct guest_dev *gdev, int eventfd, int msec)
{
	struct pollfd pfd = { .fd = eventfd, .events = POLLIN };
	__u64 count;
	bool yes;

	edu_irq_raise(&gdev->edu);
	yes = poll(&pfd, 1, msec) == 1 &&
	      read(eventfd, &count, sizeof(count)) == sizeof(count);
	edu_irq_ack(&gdev->edu);
	return yes;
}

#endif
