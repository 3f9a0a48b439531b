// SPDX-License-Identifier: GPL-2.0
/*
 * Forwarding of faults to a guest. A device behind an SMMUv3 misses in the
 * guest's stage 1. The vEVENTQ of the guest's vIOMMU receives the event with
 * the virtual SID of the device. No other queue receives it, and the guest
 * receives no other events.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "smmuv3_events.h"

/* All 32 bits of a StreamID */
#define OTHER_VSID	0xfedcba98U

/* Limits of the ABI */
#define MAX_DEPTH	0x80000U
#define MIN_SIZE	28

#define DEPTH		64

/* ---- Without a vIOMMU ---- */

TEST(no_viommu)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.type = TYPE_SMMUV3,
		.veventq_depth = 1,
	};
	__u32 ioas;
	int fd;

	if (access("/dev/iommu", F_OK))
		SKIP(return, "no /dev/iommu: CONFIG_IOMMUFD");
	fd = iommufd_open();
	ASSERT_LE(0, fd);
	FACT(iommufd_ioas_alloc(fd, &ioas));

	cmd.viommu_id = ioas;
	REFUSED(ENOENT, iommufd_cmd(fd, IOMMU_VEVENTQ_ALLOC, &cmd));
	cmd.viommu_id = ID_NONE;
	REFUSED(ENOENT, iommufd_cmd(fd, IOMMU_VEVENTQ_ALLOC, &cmd));
	cmd.viommu_id = ID_UNKNOWN;
	REFUSED(ENOENT, iommufd_cmd(fd, IOMMU_VEVENTQ_ALLOC, &cmd));
	cmd.veventq_depth = 0;
	REFUSED(EINVAL, iommufd_cmd(fd, IOMMU_VEVENTQ_ALLOC, &cmd));
	cmd.type = IOMMU_VEVENTQ_TYPE_DEFAULT;
	REFUSED(EOPNOTSUPP, iommufd_cmd(fd, IOMMU_VEVENTQ_ALLOC, &cmd));
	close(fd);
}

/* ---- One device, one vIOMMU ---- */

FIXTURE(events)
{
	struct vm vm;
	struct guest_dev dev;
	struct veventq q;
	struct iommu_veventq_alloc cmd;
};

FIXTURE_SETUP(events)
{
	struct vm *vm = &self->vm;
	const char *why;

	self->q.fd = -1;
	why = guest_init_nested(_metadata, vm, &self->dev, 0);
	if (why)
		SKIP(return, "%s", why);

	self->cmd.size = sizeof(self->cmd);
	self->cmd.viommu_id = vm->viommu;
	self->cmd.type = TYPE_SMMUV3;
	self->cmd.veventq_depth = DEPTH;
}

FIXTURE_TEARDOWN(events)
{
	if (self->q.fd >= 0)
		close(self->q.fd);
	guest_dev_close(&self->dev);
	vm_close(&self->vm);
}

/* ---- Allocation ---- */

#define do_alloc()							\
	iommufd_cmd(self->vm.fd, IOMMU_VEVENTQ_ALLOC, &self->cmd)
#define test_err_alloc(_errno)	REFUSED(_errno, do_alloc())

/* Such a queue can be allocated, and again once it is destroyed */
#define test_alloc()							\
do {									\
	FACT(do_alloc());						\
	FACT(close(self->cmd.out_veventq_fd));				\
	test_destroy(self->vm.fd, self->cmd.out_veventq_id);		\
} while (0)

/* Number of the next file descriptor */
static int lowest_free_fd(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

TEST_F(events, alloc_refused)
{
	static const __u32 types[] = { 2, 0xdead, 0xbeefbeef, ~0U };
	const __u32 viommu = self->vm.viommu;
	const __u32 not_viommus[] = {
		ID_NONE, ID_UNKNOWN, self->vm.ioas, self->vm.s2, self->dev.id,
	};
	const int free_fd = lowest_free_fd();
	unsigned int i;

	for (i = 0; i < 32; i++) {
		self->cmd.flags = 1U << i;
		test_err_alloc(EOPNOTSUPP);
		self->cmd.flags = 0;
		self->cmd.__reserved = 1U << i;
		test_err_alloc(EOPNOTSUPP);
		self->cmd.__reserved = 0;
	}
	self->cmd.type = IOMMU_VEVENTQ_TYPE_DEFAULT;
	test_err_alloc(EOPNOTSUPP);

	/* Refuse a type that this vIOMMU never reports */
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		self->cmd.type = types[i];
		test_err_alloc(EOPNOTSUPP)
			TH_LOG("type %#x", types[i]);
	}
	self->cmd.type = TYPE_SMMUV3;

	self->cmd.veventq_depth = 0;
	test_err_alloc(EINVAL);
	self->cmd.veventq_depth = MAX_DEPTH + 1;
	test_err_alloc(EINVAL);
	self->cmd.veventq_depth = ~0U;
	test_err_alloc(EINVAL);
	self->cmd.veventq_depth = MAX_DEPTH;
	test_alloc();
	self->cmd.veventq_depth = 1;
	test_alloc();

	for (i = 0; i < ARRAY_SIZE(not_viommus); i++) {
		self->cmd.viommu_id = not_viommus[i];
		test_err_alloc(ENOENT)
			TH_LOG("viommu_id %u", not_viommus[i]);
	}
	self->cmd.viommu_id = viommu;

	test_alloc();
	ASSERT_EQ(free_fd, lowest_free_fd());
}

/* The ABI defines which of two errors is reported */
TEST_F(events, alloc_errors_in_order)
{
	test_veventq_alloc(self->vm.fd, self->vm.viommu, DEPTH, &self->q);
	test_err_alloc(EEXIST);
	self->cmd.type = 2;
	test_err_alloc(EOPNOTSUPP);
	self->cmd.viommu_id = self->q.id;
	test_err_alloc(ENOENT);
	self->cmd.veventq_depth = 0;
	test_err_alloc(EINVAL);
	self->cmd.type = IOMMU_VEVENTQ_TYPE_DEFAULT;
	test_err_alloc(EOPNOTSUPP);
	self->cmd.type = TYPE_SMMUV3;
	self->cmd.flags = 1;
	test_err_alloc(EOPNOTSUPP);
	self->cmd.flags = 0;
	self->cmd.__reserved = 1;
	test_err_alloc(EOPNOTSUPP);
}

TEST_F(events, alloc_one_per_type)
{
	struct vm *vm = &self->vm;
	struct veventq other;
	__u32 viommu;

	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, &self->q);
	test_err_veventq_alloc(EEXIST, vm->fd, vm->viommu, DEPTH, &other);

	/* A second vIOMMU can have a queue, too */
	test_viommu_alloc(vm->fd, self->dev.id, vm->s2, &viommu);
	test_veventq_alloc(vm->fd, viommu, DEPTH, &other);
	test_err_veventq_alloc(EEXIST, vm->fd, viommu, DEPTH, &other);
	ASSERT_NE(self->q.id, other.id);
	ASSERT_NE(self->q.fd, other.fd);
	close(other.fd);
	test_destroy(vm->fd, other.id);
	test_destroy(vm->fd, viommu);
}

TEST_F(events, alloc_sizes)
{
	struct {
		struct iommu_veventq_alloc cmd;
		__u64 tail;
	} big = { .cmd = self->cmd };

	self->cmd.size = MIN_SIZE - 1;
	test_err_alloc(EINVAL);
	self->cmd.size = 0;
	test_err_alloc(EINVAL);

	/* The kernel ignores bytes beyond cmd.size */
	self->cmd.size = MIN_SIZE;
	self->cmd.__reserved = 0xdead;
	test_alloc();
	ASSERT_EQ(0xdead, self->cmd.__reserved);

	big.cmd.size = sizeof(big);
	big.tail = 1ULL << 63;
	REFUSED(E2BIG, iommufd_cmd(self->vm.fd, IOMMU_VEVENTQ_ALLOC, &big));
	big.tail = 0;
	FACT(iommufd_cmd(self->vm.fd, IOMMU_VEVENTQ_ALLOC, &big));
	ASSERT_EQ(sizeof(big), big.cmd.size);
	close(big.cmd.out_veventq_fd);
	test_destroy(self->vm.fd, big.cmd.out_veventq_id);
}

TEST_F(events, alloc_efault)
{
	const int free_fd = lowest_free_fd();
	struct iommu_veventq_alloc *cmd;

	cmd = mmap(NULL, self->vm.page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, cmd);
	*cmd = self->cmd;
	ASSERT_EQ(0, mprotect(cmd, self->vm.page, PROT_READ));
	REFUSED(EFAULT, iommufd_cmd(self->vm.fd, IOMMU_VEVENTQ_ALLOC, cmd));
	ASSERT_EQ(free_fd, lowest_free_fd());

	/* No queue and no reference to the vIOMMU is left */
	test_alloc();
	munmap(cmd, self->vm.page);
	test_destroy(self->vm.fd, self->vm.viommu);
}

TEST_F(events, alloc_emfile)
{
	struct rlimit limit, tight;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	tight = limit;
	tight.rlim_cur = lowest_free_fd();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &tight));
	test_err_alloc(EMFILE);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	test_alloc();
	test_destroy(self->vm.fd, self->vm.viommu);
}

TEST_F(events, alloc_fd)
{
	char path[64], link[64] = "";
	int flags;

	test_veventq_alloc(self->vm.fd, self->vm.viommu, DEPTH, &self->q);
	ASSERT_NE(0, self->q.id);

	flags = fcntl(self->q.fd, F_GETFD);
	ASSERT_LE(0, flags);
	ASSERT_NE(0, flags & FD_CLOEXEC);
	flags = fcntl(self->q.fd, F_GETFL);
	ASSERT_LE(0, flags);
	ASSERT_EQ(O_RDWR, flags & (O_ACCMODE | O_NONBLOCK | O_APPEND));

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->q.fd);
	ASSERT_LT(0, readlink(path, link, sizeof(link) - 1));
	ASSERT_STREQ("anon_inode:[iommufd-viommu-event]", link);
}

/* ---- The file, empty ---- */

TEST_F(events, fd_empty)
{
	__u8 buf[2 * sizeof(struct record)];
	struct veventq *q = &self->q;
	int flags;

	test_veventq_alloc(self->vm.fd, self->vm.viommu, DEPTH, q);
	test_empty(q);
	test_read(0, q, buf, sizeof(buf));
	test_read(0, q, buf, LOST_RECORD);
	/* An unused buffer is not checked */
	test_read(0, q, NULL, sizeof(buf));

	flags = fcntl(q->fd, F_GETFL);
	ASSERT_EQ(0, fcntl(q->fd, F_SETFL, flags | O_NONBLOCK));
	test_read(0, q, buf, sizeof(buf));
}

TEST_F(events, fd_refused)
{
	__u8 buf[2 * sizeof(struct record)] = {};
	struct veventq *q = &self->q;
	unsigned int i;

	test_veventq_alloc(self->vm.fd, self->vm.viommu, DEPTH, q);
	for (i = 0; i < LOST_RECORD; i++)
		test_err_read(EINVAL, q, buf, i);

	ASSERT_EQ(-1, pread(q->fd, buf, sizeof(buf), 8));
	ASSERT_EQ(ESPIPE, errno);
	ASSERT_EQ(-1, pwrite(q->fd, buf, sizeof(buf), 8));
	ASSERT_EQ(ESPIPE, errno);
	ASSERT_EQ(-1, lseek(q->fd, 0, SEEK_CUR));
	ASSERT_EQ(ESPIPE, errno);
	ASSERT_EQ(-1, write(q->fd, buf, sizeof(buf)));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(MAP_FAILED, mmap(NULL, self->vm.page, PROT_READ, MAP_SHARED,
				   q->fd, 0));
	ASSERT_EQ(ENODEV, errno);
	REFUSED(ENOTTY, iommufd_cmd(q->fd, IOMMU_VEVENTQ_ALLOC, &self->cmd));
}

/* ---- Lifetimes ---- */

TEST_F(events, destroy_in_order)
{
	struct vm *vm = &self->vm;

	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, &self->q);
	test_err_destroy(EBUSY, vm->fd, self->q.id);
	test_err_destroy(EBUSY, vm->fd, vm->viommu);

	close(self->q.fd);
	self->q.fd = -1;
	test_err_destroy(EBUSY, vm->fd, vm->viommu);
	test_destroy(vm->fd, self->q.id);
	test_err_destroy(ENOENT, vm->fd, self->q.id);
	test_destroy(vm->fd, vm->viommu);
}

TEST_F(events, closed_queue_stays)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;
	unsigned int i;
	__u32 id;

	test_veventq_alloc(vm->fd, vm->viommu, 2, q);
	id = q->id;
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	test_miss(q, 0, VSID, dev, 0);
	close(q->fd);
	q->fd = -1;

	/* A closed queue collects events, also beyond its depth */
	for (i = 0; i < 4; i++)
		dma_store(dev, HOLE(i));
	test_err_veventq_alloc(EEXIST, vm->fd, vm->viommu, DEPTH, q);
	settle();
	test_destroy(vm->fd, id);

	/* A new queue starts empty */
	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	test_silent(q);
	test_miss(q, 0, VSID, dev, 1);
}

TEST_F(events, iommufd_closed_first)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;
	struct record r;

	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_store(dev, HOLE(0));
	test_readable(q);

	/* The device holds the iommufd, so the queue receives its faults */
	FACT(close(vm->fd));
	vm->fd = -1;
	test_fault(q, 0, F_TRANSLATION, VSID, HOLE(0), false);
	test_miss(q, 1, VSID, dev, 1);

	/* Unread events outlive the device */
	dma_store(dev, HOLE(2));
	test_readable(q);
	guest_dev_close(dev);
	test_fault(q, 2, F_TRANSLATION, VSID, HOLE(2), false);
	test_empty(q);
	test_read(0, q, &r, sizeof(r));
}

/* ---- One fault, one record ---- */

TEST_F(events, translation)
{
	const __u64 ends[] = { 0, 0xffffff000ULL, (1ULL << 48) - 4096 };
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;
	unsigned int i, seq = 0;
	struct record r;

	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	/* Successful DMA makes no event */
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
	dma_reads(dev, GUEST_VA, vm_page(vm, 0));
	test_silent(q);

	dma_store(dev, NOWHERE);
	test_fault(q, seq++, F_TRANSLATION, VSID, NOWHERE, false);
	/* Just one record, which is read already */
	test_silent(q);
	test_read(0, q, &r, sizeof(r));

	dma_load(dev, NOWHERE);
	test_fault(q, seq++, F_TRANSLATION, VSID, NOWHERE, true);

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		dma_store(dev, ends[i]);
		test_fault(q, seq++, F_TRANSLATION, VSID, ends[i], false);
	}

	/* The page behind a mapping */
	dma_store(dev, GUEST_VA + 4096);
	test_fault(q, seq++, F_TRANSLATION, VSID, GUEST_VA + 4096, false);

	/* Unmapped by the guest */
	FACT(smmuv3_s1_unmap(&dev->s1, GUEST_VA, 4096));
	test_cmd(vm->fd, vm->viommu, smmuv3_tlbi_nh_va(ASID, GUEST_VA, true));
	dma_load(dev, GUEST_VA);
	test_fault(q, seq++, F_TRANSLATION, VSID, GUEST_VA, true);
	test_silent(q);
}

/* A transfer makes many accesses; the SMMU can merge their events */
TEST_F(events, a_whole_transfer)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;
	unsigned int num = 0;
	struct record r;

	test_veventq_alloc(vm->fd, vm->viommu, 2 * EDU_DMA_LEN, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_write_blocked(dev, NOWHERE, vm_page(vm, 0));
	test_readable(q);
	settle();
	while (veventq_poll(q, 0)) {
		test_next(q, &r);
		FACT(record_is_fault(&r, num, F_TRANSLATION, VSID, NOWHERE,
				     false));
		num++;
	}
	ASSERT_LE(num, EDU_DMA_LEN);
	TH_LOG("%u records for %u bytes", num, EDU_DMA_LEN);
	/* The device still works */
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
	test_silent(q);
}

TEST_F(events, permission)
{
	const __u64 va = GUEST_VA + 0x100000;
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;

	FACT(smmuv3_s1_map(&dev->s1, va, vm_ipa(vm, 1), 4096, S1_RO));
	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_store(dev, va);
	test_fault(q, 0, F_PERMISSION, VSID, va, false);

	/* The same with a TLB entry */
	dma_reads(dev, va, vm_page(vm, 1));
	test_silent(q);
	dma_store(dev, va);
	test_fault(q, 1, F_PERMISSION, VSID, va, false);
	test_silent(q);
}

TEST_F(events, address_size)
{
	static const unsigned int oas[] = { 32, 36, 40, 42, 44, 48, 52 };
	const __u64 va = GUEST_VA + 0x100000;
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;
	__u64 bits = oas[smmuv3_get(IDR5_OAS, dev->info.idr[5])];

	if (bits >= 48)
		SKIP(return, "no page table entry is beyond IDR5.OAS");
	FACT(smmuv3_s1_map(&dev->s1, va, 1ULL << bits, 4096, S1_RW));
	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_store(dev, va);
	test_fault(q, 0, F_ADDR_SIZE, VSID, va, false);
	test_silent(q);
}

TEST_F(events, bad_cd)
{
	struct guest_dev *dev = &self->dev;
	__u64 cd = smmuv3_cd_alloc(&self->vm.tables);
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;
	struct record r;
	__u32 hwpt;

	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);

	/* Another vSTE with a CD that has V=0 */
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, smmuv3_ste_s1(cd),
			    &hwpt);
	test_attach(dev, hwpt);
	dma_store(dev, GUEST_VA);
	test_next(q, &r);
	FACT(record_is(&r, 0, C_BAD_CD, VSID));
	test_silent(q);

	test_attach(dev, dev->hwpt);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
	test_silent(q);

	/* The same vSTE; the guest breaks its CD */
	memset(smmuv3_mem_ptr(&vm->tables, dev->cd), 0, 64);
	test_cmd(vm->fd, vm->viommu, smmuv3_cfgi_cd(VSID, 0, true));
	dma_load(dev, GUEST_VA);
	test_next(q, &r);
	FACT(record_is(&r, 1, C_BAD_CD, VSID));
	test_silent(q);
}

TEST_F(events, bad_ste)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;
	struct iommu_hwpt_arm_smmuv3 ste;
	struct record r;
	__u32 hwpt;

	test_veventq_alloc(vm->fd, vm->viommu, 2 * EDU_DMA_LEN, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	ste = smmuv3_ste_s1(dev->cd);
	ste.ste[0] |= htole64(STE_0_S1CDMAX);
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, ste, &hwpt);
	test_attach(dev, hwpt);
	if (edu_write(&dev->edu, GUEST_VA, vm_page(vm, 0)) == EDU_MOVED)
		SKIP(return, "this SMMU ignores S1CDMax");
	test_next(q, &r);
	FACT(record_is(&r, 0, C_BAD_STE, VSID));
}

TEST_F(events, poll_wakes_up)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;

	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	test_empty(q);
	/* poll() starts before the DMA happens */
	edu_start_store(&dev->edu, HOLE(0), ONE_ACCESS);
	test_readable(q);
	/* Readable until the record is read */
	test_readable(q);
	FACT(edu_init(&dev->edu));
	dma_store(dev, HOLE(1));
	settle();
	test_fault(q, 0, F_TRANSLATION, VSID, HOLE(0), false);
	test_readable(q);
	test_fault(q, 1, F_TRANSLATION, VSID, HOLE(1), false);
	test_empty(q);
}

/* ---- Reading ---- */

TEST_F(events, read_as_many_as_fit)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;
	const int room = 200;
	struct record r[5];
	unsigned int i, n;

	ASSERT_EQ(room, sizeof(r));
	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	for (i = 0; i < 8; i++)
		dma_store(dev, HOLE(i));
	settle();

	/* Room for less than a record: EINVAL, and the record stays */
	for (n = LOST_RECORD; n < RECORD; n++)
		test_err_read(EINVAL, q, r, n);
	test_readable(q);

	/* Room for less than two records: the second stays untouched */
	memset(r, 0xa5, sizeof(r));
	test_read(RECORD, q, r, 2 * RECORD - 1);
	FACT(record_is_fault(&r[0], 0, F_TRANSLATION, VSID, HOLE(0), false));
	for (n = 0; n < sizeof(r[1]); n++)
		ASSERT_EQ(0xa5, ((__u8 *)&r[1])[n]);
	test_read(RECORD, q, r, RECORD);
	FACT(record_is_fault(&r[0], 1, F_TRANSLATION, VSID, HOLE(1), false));

	/* Less room than for all records, then more */
	test_read(5 * RECORD, q, r, room);
	for (i = 0; i < 5; i++)
		FACT(record_is_fault(&r[i], 2 + i, F_TRANSLATION, VSID,
				     HOLE(2 + i), false));
	test_read(RECORD, q, r, room);
	FACT(record_is_fault(&r[0], 7, F_TRANSLATION, VSID, HOLE(7), false));
	test_read(0, q, r, room);
	test_empty(q);
}

TEST_F(events, read_efault)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;
	struct record r, *first;
	void *p, *end;

	p = mmap(NULL, 2 * vm->page, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	end = p + vm->page;
	ASSERT_EQ(0, munmap(end, vm->page));

	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_store(dev, HOLE(0));
	dma_store(dev, HOLE(1));
	dma_store(dev, HOLE(2));
	settle();

	test_err_read(EFAULT, q, end, 3 * RECORD);
	test_err_read(EFAULT, q, NULL, 3 * RECORD);
	/* Only whole records count */
	test_err_read(EFAULT, q, end - RECORD + 1, 3 * RECORD);
	test_readable(q);

	/* The second record faults as a whole, then in part */
	first = end - RECORD;
	test_read(RECORD, q, first, 3 * RECORD);
	FACT(record_is_fault(first, 0, F_TRANSLATION, VSID, HOLE(0), false));
	first = end - 2 * RECORD + 8;
	test_read(RECORD, q, first, 3 * RECORD);
	FACT(record_is_fault(first, 1, F_TRANSLATION, VSID, HOLE(1), false));
	test_read(RECORD, q, &r, sizeof(r));
	FACT(record_is_fault(&r, 2, F_TRANSLATION, VSID, HOLE(2), false));
	test_empty(q);
	munmap(p, vm->page);
}

/* ---- Overflow ---- */

/* A lost-events record has no payload, so it does not fit in an array */
struct two_and_lost {
	struct record r[2];
	struct iommufd_vevent_header lost;
};

FIXTURE(overflow)
{
	struct vm vm;
	struct guest_dev dev;
	struct veventq q;
	struct iommu_veventq_alloc cmd;
};

/* Depth 2 and four events: the last two are lost */
FIXTURE_SETUP(overflow)
{
	struct vm *vm = &self->vm;
	unsigned int i;

	events_setup(_metadata, (FIXTURE_DATA(events) *)self, NULL);
	if (_metadata->exit_code)
		return;
	test_veventq_alloc(vm->fd, vm->viommu, 2, &self->q);
	attach_stage1(_metadata, vm, &self->dev, vm->viommu, VSID);
	for (i = 0; i < 4; i++)
		dma_store(&self->dev, HOLE(i));
	settle();
}

FIXTURE_TEARDOWN(overflow)
{
	if (self->q.fd >= 0)
		close(self->q.fd);
	guest_dev_close(&self->dev);
	vm_close(&self->vm);
}

TEST_F(overflow, read_at_once)
{
	struct veventq *q = &self->q;
	struct two_and_lost got;
	__u8 buf[200];

	ASSERT_EQ(88, sizeof(got));
	test_read(88, q, buf, sizeof(buf));
	memcpy(&got, buf, sizeof(got));
	FACT(record_is_fault(&got.r[0], 0, F_TRANSLATION, VSID, HOLE(0),
			     false));
	FACT(record_is_fault(&got.r[1], 1, F_TRANSLATION, VSID, HOLE(1),
			     false));
	FACT(header_is_lost(&got.lost, 3));
	test_empty(q);
	test_read(0, q, buf, sizeof(buf));

	test_miss(q, 4, VSID, &self->dev, 4);
	test_silent(q);
}

TEST_F(overflow, read_one_by_one)
{
	struct iommufd_vevent_header lost;
	struct veventq *q = &self->q;
	struct record r[2];

	test_err_read(EINVAL, q, r, LOST_RECORD);
	/* The lost-events record does not fit behind the two */
	test_read(2 * RECORD, q, r, 2 * RECORD + LOST_RECORD - 1);
	FACT(record_is_fault(&r[0], 0, F_TRANSLATION, VSID, HOLE(0), false));
	FACT(record_is_fault(&r[1], 1, F_TRANSLATION, VSID, HOLE(1), false));
	test_readable(q);
	test_err_read(EINVAL, q, &lost, LOST_RECORD - 1);
	test_err_read(EFAULT, q, NULL, LOST_RECORD);
	test_read(LOST_RECORD, q, &lost, LOST_RECORD);
	FACT(header_is_lost(&lost, 3));
	test_empty(q);

	test_miss(q, 4, VSID, &self->dev, 4);
	test_silent(q);
}

/* The gap in the sequence numbers replaces the lost-events record */
TEST_F(overflow, event_removes_the_notice)
{
	struct guest_dev *dev = &self->dev;
	struct veventq *q = &self->q;
	struct two_and_lost got;
	struct record r[3];

	test_read(RECORD, q, r, RECORD);
	FACT(record_is_fault(&r[0], 0, F_TRANSLATION, VSID, HOLE(0), false));
	dma_store(dev, HOLE(4));
	settle();
	test_read(2 * RECORD, q, r, sizeof(r));
	FACT(record_is_fault(&r[0], 1, F_TRANSLATION, VSID, HOLE(1), false));
	FACT(record_is_fault(&r[1], 4, F_TRANSLATION, VSID, HOLE(4), false));
	test_empty(q);

	/* The next event removes the record, even if the queue was drained */
	dma_store(dev, HOLE(5));
	dma_store(dev, HOLE(6));
	dma_store(dev, HOLE(7));
	settle();
	test_read(2 * RECORD, q, r, 2 * RECORD);
	FACT(record_is_fault(&r[0], 5, F_TRANSLATION, VSID, HOLE(5), false));
	FACT(record_is_fault(&r[1], 6, F_TRANSLATION, VSID, HOLE(6), false));
	test_readable(q);
	/* The full queue has a new lost-events record with a new number */
	dma_store(dev, HOLE(8));
	dma_store(dev, HOLE(9));
	dma_store(dev, HOLE(10));
	settle();
	test_read(sizeof(got), q, &got, sizeof(got));
	FACT(record_is_fault(&got.r[0], 8, F_TRANSLATION, VSID, HOLE(8),
			     false));
	FACT(record_is_fault(&got.r[1], 9, F_TRANSLATION, VSID, HOLE(9),
			     false));
	FACT(header_is_lost(&got.lost, 10));
	test_silent(q);
}

TEST_F(overflow, destroyed_unread)
{
	struct vm *vm = &self->vm;

	close(self->q.fd);
	test_destroy(vm->fd, self->q.id);
	test_veventq_alloc(vm->fd, vm->viommu, 1, &self->q);
	test_silent(&self->q);
	test_miss(&self->q, 0, VSID, &self->dev, 0);
}

/* ---- Routing of events ---- */

TEST_F(events, vdevice_names_the_device)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;

	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	test_miss(q, 0, VSID, dev, 0);

	/* Without a vDEVICE the guest receives no event */
	test_destroy(vm->fd, dev->vdev);
	dma_store(dev, HOLE(1));
	test_silent(q);

	/* The current vSID counts, without a new attach */
	test_vdevice_alloc(vm->fd, vm->viommu, dev->id, OTHER_VSID, &dev->vdev);
	test_miss(q, 1, OTHER_VSID, dev, 2);
	test_destroy(vm->fd, dev->vdev);
	test_vdevice_alloc(vm->fd, vm->viommu, dev->id, 0, &dev->vdev);
	test_miss(q, 2, 0, dev, 3);
	test_silent(q);
}

/* An event keeps the vSID that was valid when it occurred */
TEST_F(events, queued_before_vdevice_is_gone)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;

	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_store(dev, HOLE(0));
	test_readable(q);
	test_destroy(vm->fd, dev->vdev);
	test_vdevice_alloc(vm->fd, vm->viommu, dev->id, OTHER_VSID, &dev->vdev);
	test_fault(q, 0, F_TRANSLATION, VSID, HOLE(0), false);
	test_miss(q, 1, OTHER_VSID, dev, 0);
}

TEST_F(events, device_unbound)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;

	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	test_miss(q, 0, VSID, dev, 0);
	guest_dev_close(dev);
	test_silent(q);

	/* The device returns under another vSID */
	guest_dev_open(_metadata, dev, vm, 0);
	guest_dev_stage1(_metadata, dev, vm, ASID, 0);
	attach_stage1(_metadata, vm, dev, vm->viommu, OTHER_VSID);
	test_miss(q, 1, OTHER_VSID, dev, 1);
}

/* Without stage 1 no fault is due to the guest's tables */
TEST_F(events, no_stage1_no_event)
{
	const struct {
		const char *name;
		struct iommu_hwpt_arm_smmuv3 ste;
	} vstes[] = {
		{ "bypass", smmuv3_ste_bypass() },
		{ "abort", smmuv3_ste_abort() },
		{ "V=0", smmuv3_ste_invalid() },
	};
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;
	unsigned int i;
	__u32 hwpt;

	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	for (i = 0; i < ARRAY_SIZE(vstes); i++) {
		test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, vstes[i].ste,
				    &hwpt);
		test_attach(dev, hwpt);
		dma_write_blocked(dev, NO_MEMORY, vm_page(vm, 0))
			TH_LOG("%s", vstes[i].name);
		dma_load(dev, NO_MEMORY);
		test_silent(q)
			TH_LOG("%s", vstes[i].name);
		test_attach(dev, dev->hwpt);
		dma_prime(dev);
		test_destroy(vm->fd, hwpt);
	}
	test_attach(dev, vm->s2);
	dma_store(dev, NO_MEMORY);
	test_silent(q);
	test_detach(dev);
	dma_store(dev, NO_MEMORY);
	test_silent(q);

	test_attach(dev, dev->hwpt);
	test_miss(q, 0, VSID, dev, 0);
}

/* Stage 2 faults of a guest go to the host log */
TEST_F(events, stage2_is_the_hosts)
{
	const __u64 va = GUEST_VA + 0x100000, va_r = GUEST_VA + 0x200000;
	const __u64 ipa_r = vm_ipa(&self->vm, NR_DATA);
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;
	struct smmuv3_s1 s1 = dev->s1;
	__u32 hwpt;

	/* A page, a read-only page, a table, a CD */
	FACT(smmuv3_s1_map(&dev->s1, va, NO_MEMORY, 4096, S1_RW));
	test_ioas_map(vm, 2, ipa_r, READABLE);
	FACT(smmuv3_s1_map(&dev->s1, va_r, ipa_r, 4096, S1_RW));
	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_write_blocked(dev, va, vm_page(vm, 0));
	dma_load(dev, va);
	test_silent(q);
	dma_reads(dev, va_r, vm_page(vm, 2));
	dma_write_blocked(dev, va_r, vm_page(vm, 2));
	test_silent(q);

	s1.root = NO_MEMORY;
	guest_cd_write(dev, vm, &s1, ASID + 1);
	test_cmd(vm->fd, vm->viommu, smmuv3_cfgi_cd(VSID, 0, true));
	dma_write_blocked(dev, GUEST_VA, vm_page(vm, 0));
	test_silent(q);

	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu,
			    smmuv3_ste_s1(NO_MEMORY), &hwpt);
	test_attach(dev, hwpt);
	dma_write_blocked(dev, GUEST_VA, vm_page(vm, 0));
	test_silent(q);

	/* These events took no sequence numbers */
	guest_cd_write(dev, vm, &dev->s1, ASID);
	test_attach(dev, dev->hwpt);
	test_cmd(vm->fd, vm->viommu, smmuv3_cfgi_cd(VSID, 0, true));
	test_miss(q, 0, VSID, dev, 0);
}

TEST_F(events, queue_comes_later)
{
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;

	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	dma_write_blocked(dev, NOWHERE, vm_page(vm, 0));
	dma_load(dev, NOWHERE);
	/* The buffer's contents after a failed read are unknown */
	dma_prime(dev);
	dma_writes(dev, GUEST_VA, vm_page(vm, 0));
	settle();

	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	test_silent(q);
	test_miss(q, 0, VSID, dev, 0);
}

/* ---- The host log ---- */

#define test_logged(_lines, _what)					\
	FACT_IS(_lines, log_counts(log, _what))

TEST_F(events, host_log)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	const char *bdf = self->dev.pci.bdf;
	const __u64 va = GUEST_VA + 0x100000;
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;
	__u32 bypass;

	if (log < 0)
		SKIP(return, "no /dev/kmsg");
	FACT(smmuv3_s1_map(&dev->s1, va, NO_MEMORY, 4096, S1_RW));
	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	test_hwpt_alloc_ste(vm->fd, dev->id, vm->viommu, smmuv3_ste_bypass(),
			    &bypass);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	/* Let the rate limit of earlier tests expire */
	sleep(LOG_SEC + 1);
	ASSERT_LE(0, lseek(log, 0, SEEK_END));

	/* Faults that the guest receives are not logged */
	test_miss(q, 0, VSID, dev, 0);
	test_silent(q);
	test_logged(0, bdf);

	/* A stage 2 fault */
	dma_store(dev, va);
	test_silent(q);
	test_logged(1, bdf);

	/* A fault of a device without a vDEVICE */
	test_destroy(vm->fd, dev->vdev);
	dma_store(dev, HOLE(1));
	test_silent(q);
	test_logged(1, bdf);

	/* A fault of a guest without a queue */
	test_vdevice_alloc(vm->fd, vm->viommu, dev->id, VSID, &dev->vdev);
	close(q->fd);
	q->fd = -1;
	test_destroy(vm->fd, q->id);
	dma_store(dev, HOLE(2));
	settle();
	test_logged(1, bdf);

	/* An event lost in a full queue is not logged */
	test_veventq_alloc(vm->fd, vm->viommu, 1, q);
	dma_store(dev, HOLE(3));
	dma_store(dev, HOLE(4));
	settle();
	test_logged(0, bdf);
	test_fault(q, 0, F_TRANSLATION, VSID, HOLE(3), false);

	/* Faults of a guest without stage 1, and without a guest */
	test_attach(dev, bypass);
	dma_store(dev, NO_MEMORY);
	settle();
	test_logged(1, bdf);
	test_attach(dev, vm->s2);
	dma_store(dev, NO_MEMORY);
	settle();
	test_logged(1, "event 0x10 received");
	close(log);
}

/* ---- Trace events of the host ---- */

#define TRACEFS		"/sys/kernel/tracing"
/* A separate buffer, to leave other tracing alone */
#define TRACE_DIR	TRACEFS "/instances/smmuv3_events"
#define TRACE_EVENT	"events/arm_smmu_v3/arm_smmu_stage2_fault"

static int trace_enable(const char *enable)
{
	int fd = open(TRACE_DIR "/" TRACE_EVENT "/enable", O_WRONLY);
	int ret = fd < 0 || write(fd, enable, 1) != 1 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

/**
 * trace_is_fault() - Compare the next line of the trace
 * @trace: in: the trace, out: the rest behind this line
 * @dev: the device
 * @vm: the VM with its vIOMMU
 * @va: an address in the page that the device accessed
 * @ipa: an address in the page of the output of stage 1
 * @access: "read" or "write"
 *
 * Return: 0, or a negative errno
 */
static int trace_is_fault(const char **trace, const struct guest_dev *dev,
			  const struct vm *vm, __u64 va, __u64 ipa,
			  const char *access)
{
	unsigned int bus, slot, function, stream, viommu, id;
	unsigned long long got_va, got_ipa;
	const char *p = strstr(*trace, dev->pci.bdf);
	char got[8];

	if (!p || sscanf(p + strlen(dev->pci.bdf),
			 ": stream=%x viommu=%u id=%x %7s addr=%llx ipa=%llx",
			 &stream, &viommu, &id, got, &got_va, &got_ipa) != 6)
		goto differs;
	/* On machines with an edu device, StreamIDs are Requester IDs */
	if (sscanf(dev->pci.bdf, "%*x:%x:%x.%x", &bus, &slot, &function) != 3 ||
	    stream != (bus << 8 | slot << 3 | function))
		goto differs;
	if (viommu != vm->viommu || id != F_TRANSLATION ||
	    strcmp(got, access) || ((got_va ^ va) & ~0xfffULL) ||
	    ((got_ipa ^ ipa) & ~0xfffULL))
		goto differs;
	*trace = p + strlen(dev->pci.bdf);
	return 0;
differs:
	fprintf(TH_LOG_STREAM, "# traced: %s\n", *trace);
	return -EBADMSG;
}

TEST_F_TIMEOUT(events, stage2_is_traced, 60)
{
	const __u64 va = GUEST_VA + 0x100000, ipa = NO_MEMORY + 0x5000;
	struct guest_dev *dev = &self->dev;
	struct vm *vm = &self->vm;
	struct veventq *q = &self->q;
	const char *trace;
	char buf[8192];
	int fd, lines;
	ssize_t len;

	/* Mount tracefs at its usual place if it is missing */
	if (access(TRACEFS "/events", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	if (access(TRACEFS "/" TRACE_EVENT, F_OK))
		SKIP(return, "no tracing of events: CONFIG_FTRACE");

	/* A killed run may have left the instance */
	rmdir(TRACE_DIR);
	ASSERT_EQ(0, mkdir(TRACE_DIR, 0700));
	fd = open(TRACE_DIR "/trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, fd);

	FACT(smmuv3_s1_map(&dev->s1, va, ipa, 4096, S1_RW));
	test_veventq_alloc(vm->fd, vm->viommu, DEPTH, q);
	attach_stage1(_metadata, vm, dev, vm->viommu, VSID);
	/* Tracing shares the rate limit of the log */
	sleep(LOG_SEC + 1);
	dma_store(dev, va);
	settle();
	FACT(trace_enable("1"));
	dma_load(dev, va);
	dma_store(dev, va);
	/* Faults that the guest receives are not traced */
	test_miss(q, 0, VSID, dev, 0);
	settle();
	FACT(trace_enable("0"));
	dma_store(dev, va);
	settle();

	/* One read returns all lines */
	len = read(fd, buf, sizeof(buf) - 1);
	ASSERT_LT(0, len);
	buf[len] = 0;
	trace = buf;
	FACT(trace_is_fault(&trace, dev, vm, va, ipa, "read"));
	FACT(trace_is_fault(&trace, dev, vm, va, ipa, "write"));
	ASSERT_EQ(NULL, strstr(trace, dev->pci.bdf));
	ASSERT_EQ(-1, read(fd, buf, sizeof(buf)));
	ASSERT_EQ(EAGAIN, errno);

	/* The rate limit also protects the trace buffer */
	sleep(LOG_SEC + 1);
	FACT(trace_enable("1"));
	dma_write_blocked(dev, va, vm_page(vm, 0));
	settle();
	FACT(trace_enable("0"));
	len = read(fd, buf, sizeof(buf) - 1);
	ASSERT_LT(0, len);
	buf[len] = 0;
	lines = 0;
	for (trace = buf; (trace = strstr(trace, dev->pci.bdf)); trace++)
		lines++;
	ASSERT_LT(0, lines);
	ASSERT_GE(LOG_BURST, lines);
	close(fd);
	ASSERT_EQ(0, rmdir(TRACE_DIR));
}

/* ---- Two guests, one SMMU ---- */

FIXTURE(pair)
{
	struct guests g;
};

FIXTURE_SETUP(pair)
{
	struct guests *g = &self->g;
	const char *why = guests_init(_metadata, g, ASID);

	if (why)
		SKIP(return, "%s", why);
	test_veventq_alloc(g->vm.fd, g->vm.viommu, DEPTH, &g->qa);
	test_veventq_alloc(g->vm.fd, g->viommu_b, DEPTH, &g->qb);
}

FIXTURE_TEARDOWN(pair)
{
	guests_close(&self->g);
}

TEST_F(pair, each_hears_of_its_own)
{
	struct guest_dev *a = &self->g.a, *b = &self->g.b;
	struct veventq *qa = &self->g.qa, *qb = &self->g.qb;
	struct vm *vm = &self->g.vm;

	/* The same vSID on both vIOMMUs */
	attach_stage1(_metadata, vm, a, vm->viommu, VSID);
	attach_stage1(_metadata, vm, b, self->g.viommu_b, VSID);
	test_miss(qa, 0, VSID, a, 0);
	test_silent(qb);
	test_miss(qb, 0, VSID, b, 1);
	test_miss(qb, 1, VSID, b, 2);
	test_silent(qa);
	test_miss(qa, 1, VSID, a, 3);
	test_silent(qb);

	/* A full queue, or a destroyed one, does not affect the other */
	close(qa->fd);
	test_destroy(vm->fd, qa->id);
	test_veventq_alloc(vm->fd, vm->viommu, 1, qa);
	dma_store(a, HOLE(4));
	dma_store(a, HOLE(5));
	test_miss(qb, 2, VSID, b, 6);
	test_fault(qa, 0, F_TRANSLATION, VSID, HOLE(4), false);
	close(qa->fd);
	qa->fd = -1;
	test_destroy(vm->fd, qa->id);
	dma_store(a, HOLE(7));
	test_silent(qb);
	test_miss(qb, 3, VSID, b, 8);
}

TEST_F(pair, one_queue_two_devices)
{
	struct guest_dev *a = &self->g.a, *b = &self->g.b;
	struct veventq *qa = &self->g.qa;
	struct vm *vm = &self->g.vm;

	attach_stage1(_metadata, vm, a, vm->viommu, VSID);
	attach_stage1(_metadata, vm, b, vm->viommu, OTHER_VSID);
	test_miss(qa, 0, VSID, a, 0);
	test_miss(qa, 1, OTHER_VSID, b, 0);

	/* Destroying one vDEVICE does not affect the other */
	test_destroy(vm->fd, a->vdev);
	dma_store(a, HOLE(1));
	test_miss(qa, 2, OTHER_VSID, b, 1);
	test_silent(qa);
	test_silent(&self->g.qb);
}

/* An event goes to the vIOMMU of the attached translation */
TEST_F(pair, vdevice_of_another_viommu)
{
	struct veventq *qa = &self->g.qa, *qb = &self->g.qb;
	struct guest_dev *a = &self->g.a;
	struct vm *vm = &self->g.vm;
	__u32 hwpt;

	attach_stage1(_metadata, vm, a, vm->viommu, VSID);
	test_miss(qa, 0, VSID, a, 0);
	test_destroy(vm->fd, a->vdev);
	test_vdevice_alloc(vm->fd, self->g.viommu_b, a->id, VSID, &a->vdev);
	dma_store(a, HOLE(1));
	test_silent(qa);
	test_silent(qb);

	/* After an attach it goes to the new vIOMMU */
	test_hwpt_alloc_ste(vm->fd, a->id, self->g.viommu_b,
			    smmuv3_ste_s1(a->cd), &hwpt);
	test_attach(a, hwpt);
	test_miss(qb, 0, VSID, a, 2);
	test_silent(qa);
}

TEST_HARNESS_MAIN
