// SPDX-License-Identifier: GPL-2.0-only
/*
 * vIOMMU objects: one guest's slice of one physical IOMMU instance.
 */
#include <linux/iommu.h>
#include <linux/iommu-viommu.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"

void iommufd_viommu_destroy(struct iommufd_object *obj)
{
	struct iommufd_viommu *viommu =
		container_of(obj, struct iommufd_viommu, obj);

	WARN_ON(!xa_empty(&viommu->core->vdevs));
	viommu->core->ops->free(viommu->core);
	module_put(viommu->iommu_dev->ops->owner);
	refcount_dec(&viommu->hwpt->common.obj.users);
}

/* A copy of what user space gives for the driver, NULL if there is none */
static void *
iommufd_viommu_copy_data(const struct iommu_viommu_ops *ops,
			 const struct iommu_viommu_alloc *cmd)
{
	void *data;
	int rc;

	if (!ops->data_len || !cmd->data_len)
		return NULL;
	if (cmd->data_len < ops->data_len)
		return ERR_PTR(-EINVAL);
	if (cmd->data_len > PAGE_SIZE)
		return ERR_PTR(-E2BIG);

	data = kmalloc(ops->data_len, GFP_KERNEL_ACCOUNT);
	if (!data)
		return ERR_PTR(-ENOMEM);
	rc = copy_struct_from_user(data, ops->data_len,
				   u64_to_user_ptr(cmd->data_uptr),
				   cmd->data_len);
	if (rc) {
		kfree(data);
		return ERR_PTR(rc);
	}
	return data;
}

static int iommufd_viommu_init_data(struct iommufd_viommu *viommu, void *data,
				    const struct iommu_viommu_alloc *cmd)
{
	const struct iommu_viommu_ops *ops = viommu->core->ops;
	int rc;

	if (!data)
		return 0;
	rc = ops->init(viommu->core, data);
	if (rc)
		return rc;
	if (copy_to_user(u64_to_user_ptr(cmd->data_uptr), data, ops->data_len))
		return -EFAULT;
	return 0;
}

int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;
	const struct iommu_viommu_ops *viommu_ops;
	struct iommufd_hwpt_paging *hwpt_paging;
	struct iommufd_viommu *viommu;
	struct iommufd_device *idev;
	const struct iommu_ops *ops;
	struct iommu_viommu *core;
	void *data;
	int rc;

	if (cmd->flags || cmd->__reserved ||
	    cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;

	idev = iommufd_get_device(ucmd, cmd->dev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);

	ops = dev_iommu_ops(idev->dev);
	if (!ops->viommu_ops) {
		rc = -EOPNOTSUPP;
		goto out_put_idev;
	}
	viommu_ops = ops->viommu_ops(idev->dev, cmd->type);
	if (IS_ERR(viommu_ops)) {
		rc = PTR_ERR(viommu_ops);
		goto out_put_idev;
	}

	hwpt_paging = iommufd_get_hwpt_paging(ucmd, cmd->hwpt_id);
	if (IS_ERR(hwpt_paging)) {
		rc = PTR_ERR(hwpt_paging);
		goto out_put_idev;
	}
	if (!hwpt_paging->nest_parent ||
	    hwpt_paging->common.domain->owner != ops) {
		rc = -EINVAL;
		goto out_put_hwpt;
	}

	data = iommufd_viommu_copy_data(viommu_ops, cmd);
	if (IS_ERR(data)) {
		rc = PTR_ERR(data);
		goto out_put_hwpt;
	}

	viommu = iommufd_object_alloc(ucmd->ictx, viommu, IOMMUFD_OBJ_VIOMMU);
	if (IS_ERR(viommu)) {
		rc = PTR_ERR(viommu);
		goto out_free_data;
	}

	core = viommu_ops->alloc(idev->dev, hwpt_paging->common.domain);
	if (IS_ERR(core)) {
		rc = PTR_ERR(core);
		iommufd_object_abort(ucmd->ictx, &viommu->obj);
		goto out_free_data;
	}
	core->iommufd = viommu;
	core->id = viommu->obj.id;
	viommu->core = core;
	iommufd_viommu_init_events(viommu);
	viommu->iommu_dev = idev->dev->iommu->iommu_dev;
	/*
	 * The devices behind the instance hold the driver's module, and with it
	 * the instance. The vIOMMU may outlive them all.
	 */
	__module_get(ops->owner);
	viommu->hwpt = hwpt_paging;
	refcount_inc(&hwpt_paging->common.obj.users);

	cmd->out_viommu_id = viommu->obj.id;
	rc = iommufd_viommu_init_data(viommu, data, cmd);
	if (!rc)
		rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		iommufd_object_abort_and_destroy(ucmd->ictx, &viommu->obj);
	else
		iommufd_object_finalize(ucmd->ictx, &viommu->obj);

out_free_data:
	kfree(data);
out_put_hwpt:
	iommufd_put_object(ucmd->ictx, &hwpt_paging->common.obj);
out_put_idev:
	iommufd_put_object(ucmd->ictx, &idev->obj);
	return rc;
}
