namespace Microsoft.ML.Sorsa.Training;

/// <summary>Where and when checkpoints are written. The trainer's Options say what each of them means.</summary>
/// <param name="Folder">Whole path.</param>
/// <param name="Steps">Steps between two checkpoints.</param>
/// <param name="Keep">How many of the newest stay.</param>
/// <param name="Resume">What to do with those that are there.</param>
internal sealed record CheckpointSettings(string Folder, int Steps, int Keep, ResumeMode Resume)
{
    public const int DefaultSteps = 50, DefaultKeep = 2;
}
