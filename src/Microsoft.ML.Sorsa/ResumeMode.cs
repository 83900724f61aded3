namespace Microsoft.ML.Sorsa;

/// <summary>What a training does with checkpoints that its CheckpointFolder already holds.</summary>
public enum ResumeMode
{
    /// <summary>Goes on from the newest one; begins where there is none.</summary>
    Auto,

    /// <summary>Begins, and refuses a folder that holds checkpoints.</summary>
    Never,

    /// <summary>Goes on from the newest one, and refuses a folder without any.</summary>
    Required,
}
