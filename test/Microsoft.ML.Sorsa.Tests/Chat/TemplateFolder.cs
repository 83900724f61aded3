namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>Folders of the bundled model with another chat template.</summary>
internal static class TemplateFolder
{
    /// <summary>A copy of the bundled model, which has no chat template, with one of the golden ones.</summary>
    public static string Create(string folder, string template)
    {
        CopyModel(folder);
        File.Copy(
            TestData.Require(TestData.Golden("chat", "templates", template + ".jinja")), Path.Combine(folder, "chat_template.jinja"));
        return folder;
    }

    public static void CopyModel(string folder)
    {
        foreach (string file in Directory.GetFiles(TestData.TinyLlama))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }
    }
}
